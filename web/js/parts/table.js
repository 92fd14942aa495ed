// A table that becomes cards under 720 px, with sorting in its headers, paging by cursor and picking of rows.
//
//   table({
//     caption: 'Artifacts', keyOf: (row) => row.digest,
//     columns: [{ label: 'Name', cell: (row) => node or text, head: true, sort: 'name', end: false, tight: false }, …],
//     load: async ({ cursor, sort, signal }) => ({ rows, next, total? }),   next: a cursor, or null at the end
//     rows,                                                               instead of load: rows that are all there
//     empty: node,  pick: (rows) => …,  sort: '-created',  pageSize: 50,  toolbar: (picked) => nodes
//   })   → element with reload(), rows; its `onsort(order)` may answer another order instead
import { h, icon, keyed, replace } from '../dom.js';
import { button, busy } from './button.js';
import { failure } from './error.js';
import { skeleton, late } from './skeleton.js';
import { count } from '../format.js';

export function table({ caption, columns, rows: given, load, keyOf = (row) => row, empty, pick, sort = null, toolbar, onrow, plain = false }) {
  let rows = [];
  let next = null;
  let current = 0;
  let order = sort;
  const picked = new Map();
  const body = h('tbody');
  const all = pick && h('input', { type: 'checkbox', 'aria-label': 'Pick all rows shown', onchange: () => {
    for (const row of rows) all.checked ? picked.set(keyOf(row), row) : picked.delete(keyOf(row));
    draw();
  } });
  const head = h('thead', null, h('tr', null, pick && h('th', { class: 'pick', scope: 'col' }, all), columns.map(header)));
  const bar = h('div', { class: 'pager', hidden: true });
  const tools = h('div', { class: 'card-head', hidden: true });
  const box = h('div', { class: 'table-box' }, h('table', { class: ['table', !plain && 'table-cards'] }, h('caption', { class: 'sr' }, caption), head, body));
  const rest = h('div', { 'aria-live': 'polite' });
  const node = h('div', null, tools, box, rest, bar);

  function header(column) {
    const cell = h('th', { scope: 'col', class: column.end && 'end' });
    if (!column.sort) return append(cell, column.label);
    column.cell_ = cell;
    return append(cell, h('button', { type: 'button', class: 'sorter', onclick: () => {
      order = order === column.sort ? `-${column.sort}` : column.sort;
      order = node.onsort?.(order) ?? order;
      mark();
      node.reload();
    } }, column.label, icon('down')));
  }
  function mark() {
    for (const column of columns) {
      if (!column.cell_) continue;
      if (order === column.sort) column.cell_.setAttribute('aria-sort', 'ascending');
      else if (order === `-${column.sort}`) column.cell_.setAttribute('aria-sort', 'descending');
      else column.cell_.removeAttribute('aria-sort');
    }
  }
  function line(row) {
    return h('tr', null, cells(row));
  }
  function cells(row) {
    const key = keyOf(row);
    return [
      pick && h('td', { class: 'pick' }, h('input', { type: 'checkbox', checked: picked.has(key), 'aria-label': `Pick ${pick(row)}`, onchange: (event) => {
        if (event.target.checked) picked.set(key, row);
        else picked.delete(key);
        choices();
      } })),
      columns.map((column) => {
        const value = column.cell(row);
        return column.head
          ? h('th', { scope: 'row', class: ['name', column.tight && 'tight'] }, value)
          : h('td', { class: [column.end && 'end', column.tight && 'tight'], data: { label: value === null || value === undefined || value === '' ? null : column.label } }, value);
      }),
    ];
  }
  function choices() {
    if (!pick) return;
    all.checked = rows.length > 0 && rows.every((row) => picked.has(keyOf(row)));
    all.indeterminate = !all.checked && picked.size > 0;
    tools.hidden = picked.size === 0;
    if (picked.size) replace(tools, h('strong', null, `${count(picked.size, 'row')} picked`), h('div', { class: 'actions' }, toolbar?.([...picked.values()], clear), button('Clear', { look: 'quiet', onclick: clear })));
  }
  function clear() {
    picked.clear();
    draw();
  }
  function draw() {
    keyed(body, rows, keyOf, line, (old, row) => { if (!old.contains(document.activeElement)) replace(old, cells(row)); });
    box.hidden = rows.length === 0;
    choices();
    bar.hidden = rows.length === 0 || (next === null && rows.length < 50);
    if (!bar.hidden) {
      const more = next !== null && button('Show more', { look: 'small' });
      more?.addEventListener?.('click', () => busy(more, 'Loading…', () => page(next)).catch(() => {}));
      replace(bar, h('span', null, `${count(rows.length, 'row')} shown${next === null ? '' : ', there are more'}`), more);
    }
  }
  async function page(cursor) {
    const turn = (current += 1);
    node.setAttribute('aria-busy', 'true');
    const waiting = cursor === null && late(() => { if (turn === current && rows.length === 0) replace(rest, skeleton('table')); });
    try {
      const found = await load({ cursor, sort: order });
      if (turn !== current) return;
      const known = new Set(cursor === null ? [] : rows.map(keyOf));
      rows = cursor === null ? found.rows : rows.concat(found.rows.filter((row) => !known.has(keyOf(row))));
      next = found.next ?? null;
      node.rows = rows;
      replace(rest, rows.length === 0 && (typeof empty === 'function' ? empty() : empty));
      draw();
    } catch (error) {
      if (turn !== current || error.name === 'AbortError') return;
      if (cursor === null) {
        rows = [];
        draw();
      }
      replace(rest, failure(error, () => page(cursor)));
    } finally {
      waiting && waiting();
      if (turn === current) node.removeAttribute('aria-busy');
    }
  }
  node.reload = () => page(null);
  node.setRows = (list) => {
    rows = list;
    node.rows = rows;
    replace(rest, rows.length === 0 && (typeof empty === 'function' ? empty() : empty));
    draw();
  };
  mark();
  if (given) node.setRows(given);
  else node.ready = node.reload();
  return node;
}

function append(node, ...children) {
  node.append(...children);
  return node;
}
