// Every artifact on the shelf: search, filters kept in the address, the newest first.
import { h } from '../dom.js';
import { api } from '../api.js';
import { keepQuery, link } from '../router.js';
import { pageHead } from '../parts/page.js';
import { button, linkButton } from '../parts/button.js';
import { badge, kind } from '../parts/badge.js';
import { size, time } from '../parts/digest.js';
import { table } from '../parts/table.js';
import { empty, nothingFits } from '../parts/empty.js';
import { icon } from '../dom.js';
import { FILTERS, KINDS, NOWHERE, door } from '../doors.js';

export const title = 'Catalog';

// By name from the first, by size from the largest, by time from the newest: the catalog knows these orders.
const orderOf = (sort) => ['name', '-size', '-created'].find((order) => sort?.includes(order.replace('-', ''))) ?? '-created';

export function render(ctx) {
  const filter = { q: ctx.query.get('q') ?? '', kind: ctx.query.get('kind') ?? '', held: ctx.query.get('held') ?? '', arch: ctx.query.get('arch') ?? '', sort: orderOf(ctx.query.get('sort')) };
  let timer;
  const search = h('input', { class: 'input', type: 'search', 'aria-label': 'Search the catalog', placeholder: 'Name, version, file name or SHA-256', value: filter.q, oninput: () => {
    clearTimeout(timer);
    timer = setTimeout(() => apply({ q: search.value }), 200);
  } });
  // A search that was typed right before leaving would write itself into the next page's address.
  ctx.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  const kinds = h('div', { class: 'chips', role: 'group', 'aria-label': 'Kind' });
  const held = h('select', { class: 'input', 'aria-label': 'Held by', onchange: () => apply({ held: held.value }) }, h('option', { value: '' }, 'Held by anything'), FILTERS.map(([value, words]) => h('option', { value }, words)), h('option', { value: NOWHERE }, 'Offered nowhere'));
  held.value = filter.held;
  const loose = h('button', { type: 'button', class: 'chip', onclick: () => {
    held.value = filter.held === NOWHERE ? '' : NOWHERE;
    apply({ held: held.value });
  } }, 'Offered nowhere');
  const arch = h('select', { class: 'input', 'aria-label': 'Architecture', onchange: () => apply({ arch: arch.value }) }, h('option', { value: '' }, 'Any architecture'), ['amd64', 'arm64', 'armhf', 'i386', 'all', 'x86_64', 'aarch64', 'noarch', 'x64', 'x86'].map((value) => h('option', null, value)));
  arch.value = filter.arch;

  function apply(change) {
    Object.assign(filter, change);
    keepQuery({ ...filter, sort: filter.sort === '-created' ? '' : filter.sort });
    chips();
    list.reload();
  }
  function clear() {
    search.value = '';
    held.value = '';
    arch.value = '';
    apply({ q: '', kind: '', held: '', arch: '' });
    search.focus();
  }
  function chips() {
    loose.setAttribute('aria-pressed', String(filter.held === NOWHERE));
    kinds.replaceChildren(...KINDS.map((word) => h('button', { type: 'button', class: 'chip', 'aria-pressed': String(filter.kind === word), onclick: () => {
      apply({ kind: filter.kind === word ? '' : word });
      [...kinds.children].find((chip) => chip.textContent === word)?.focus();
    } }, word)));
  }
  const filtered = () => filter.q || filter.kind || filter.held || filter.arch;
  const words = () => `No artifact matches${filter.q ? ` “${filter.q}”` : ''}${filter.kind ? ` in ${filter.kind}` : ''}${filter.arch ? ` for ${filter.arch}` : ''}${filter.held === NOWHERE ? ', offered nowhere' : filter.held ? `, held by: ${door({ kind: filter.held }).label}` : ''}`;
  const list = table({
    caption: 'Artifacts', pick: (row) => row.name,
    toolbar: (rows, clear) => {
      const then = (done) => {
        if (!done) return;
        clear();
        list.reload();
      };
      return [
        button('Add to repository…', { look: 'small', icon: 'layers', onclick: async () => then(await (await import('../parts/offer.js')).addManyDrawer(rows)) }),
        button('Release holds…', { look: 'small', icon: 'unlock', onclick: async () => then(await (await import('../parts/release.js')).releaseDrawer(rows)) }),
      ];
    },
    keyOf: (row) => row.digest, sort: filter.sort,
    columns: [
      { label: 'Name', head: true, sort: 'name', cell: (row) => h('div', { class: 'with-kind' }, kind(row.kind, 'small'), h('div', { class: 'grow' }, h('a', { href: link('/artifact/:digest', { digest: row.digest }) }, row.name), row.file !== row.name && h('div', { class: 'small muted' }, row.file))) },
      { label: 'Version', cell: (row) => row.version },
      { label: 'Arch', cell: (row) => row.arch },
      { label: 'Size', end: true, tight: true, sort: 'size', cell: (row) => size(row.size) },
      { label: 'Held by', cell: (row) => h('span', { class: 'chips' }, row.held.map((one) => badge(door({ kind: one }).label))) },
      { label: 'Added', tight: true, sort: 'created', cell: (row) => time(row.created) },
    ],
    load: async ({ cursor, sort }) => {
      return api.get('/ui/api/artifacts', { query: { q: filter.q, kind: filter.kind, held: filter.held, arch: filter.arch, sort: orderOf(sort), cursor }, signal: ctx.signal });
    },
    empty: () => (filtered() ? nothingFits(words(), clear) : empty({ icon: 'box', title: 'Nothing is stored here yet', text: 'Everything that comes in by any door is listed here: packages, installers, releases, data.', action: linkButton('Upload files', '#/upload', { look: 'primary', icon: 'upload' }) })),
  });
  list.onsort = (order) => {
    filter.sort = orderOf(order);
    keepQuery({ ...filter, sort: filter.sort === '-created' ? '' : filter.sort });
    return filter.sort;
  };
  chips();
  return h('div', { class: 'page' }, pageHead({ title, lead: 'Every file on the shelf, whichever door it came through.' }),
    h('search', { class: 'stack stack-tight' }, h('div', { class: 'row' }, h('div', { class: 'searchline' }, icon('search'), search), h('div', { class: 'picks' }, held), h('div', { class: 'picks' }, arch)), h('div', { class: 'chips' }, kinds, loose)),
    h('section', { class: 'card card-flush' }, list));
}
