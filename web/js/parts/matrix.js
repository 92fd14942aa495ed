// A matrix of checkboxes: matrix({ caption, rows: [[key, 'Words']], columns: [[key, 'Words']], value: (row, column) =>
// true | false | null (no such right), onchange: (row, column, on) => …, more: (row) => node, moreLabel })
import { h } from '../dom.js';

export function matrix({ caption, rows, columns, value, onchange, more, moreLabel = '', disabled = false, corner = '' }) {
  return h('div', { class: 'table-box' }, h('table', { class: 'matrix' }, h('caption', { class: 'sr' }, caption),
    h('thead', null, h('tr', null, corner ? h('th', { scope: 'col' }, corner) : h('td'), columns.map(([, words]) => h('th', { scope: 'col' }, words)), more && h('th', { scope: 'col' }, moreLabel))),
    h('tbody', null, rows.map(([row, words]) => h('tr', null, h('th', { scope: 'row' }, words),
      columns.map(([column, name]) => {
        const on = value(row, column);
        return h('td', null, on === null
          ? h('span', { class: 'muted', 'aria-label': 'does not apply' }, '·')
          : h('input', { type: 'checkbox', checked: on, disabled, 'aria-label': `${typeof words === 'string' ? words : row}: ${name}`, onchange: (event) => onchange?.(row, column, event.target.checked, event.target) }));
      }),
      more && h('td', null, more(row)))))));
}
