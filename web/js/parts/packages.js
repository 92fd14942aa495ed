// A long list of packages, searched in the page and shown by fifties.
import { h, icon } from '../dom.js';
import { badge } from './badge.js';
import { digest, size } from './digest.js';
import { nothingFits } from './empty.js';
import { table } from './table.js';
import { versionOf } from '../data/repos.js';
import { link } from '../router.js';

const PAGE = 50;

/** Of a package that an upstream lists and whose bytes come when somebody asks for them. */
export const notFetched = () => badge('Not fetched yet', 'info', { title: 'It comes from its upstream when somebody asks for it.' });

export function packageTable({ caption, packages, empty, pick = false, toolbar }) {
  let words = '';
  const list = table({
    caption, keyOf: (row) => row.shasum, pick: pick && ((row) => row.filename), toolbar,
    columns: [
      { label: 'Name', head: true, cell: (row) => h('div', null, h('a', { href: link('/artifact/:digest', { digest: row.shasum }, { listed: row.present === false && 'yes' }) }, row.name), row.present === false && [' ', notFetched()], h('div', { class: 'muted small wrap' }, row.filename !== row.name && row.filename)) },
      { label: 'Version', cell: (row) => h('span', { class: 'wrap' }, versionOf(row)) },
      { label: 'Architecture', cell: (row) => row.arch },
      { label: 'Size', end: true, tight: true, cell: (row) => size(row.size) },
      { label: 'SHA-256', cell: (row) => digest(row.shasum) },
    ],
    load: async ({ cursor }) => {
      const fits = packages.filter((row) => `${row.name} ${row.filename} ${row.version} ${row.arch}`.toLowerCase().includes(words.trim().toLowerCase()));
      const from = cursor ?? 0;
      return { rows: fits.slice(from, from + PAGE), next: from + PAGE < fits.length ? from + PAGE : null };
    },
    empty: () => (packages.length === 0 ? empty : nothingFits(`No package matches “${words.trim()}”`, () => { words = ''; search.value = ''; list.reload(); })),
  });
  const search = h('input', { class: 'input', type: 'search', 'aria-label': `Find in ${caption}`, placeholder: 'Name, version or architecture', oninput: () => { words = search.value; list.reload(); } });
  return h('div', { class: 'stack' }, packages.length > 6 && h('div', { class: 'searchline' }, icon('search'), search), h('div', { class: 'card card-flush' }, list));
}
