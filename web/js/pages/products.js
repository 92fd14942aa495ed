// Products: names with their versions, for builds that are fetched with a key.
import { h, icon } from '../dom.js';
import { api } from '../api.js';
import { instant } from '../format.js';
import { go, keepQuery, link } from '../router.js';
import { base } from '../state.js';
import { button, linkButton } from '../parts/button.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty, nothingFits } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { pageHead } from '../parts/page.js';
import { snippet } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { productUpload, seg } from '../snippets.js';

export const title = 'Products';
const PAGE = 50;

export async function render(ctx) {
  const names = await api.get('/product/access', { signal: ctx.signal });
  const create = button('New product', { look: 'primary', icon: 'plus', onclick: newProduct });
  const head = pageHead({ title, lead: 'One file a version, fetched and uploaded with a key: firmware, toolchains, build results.', actions: [linkButton('Keys', '#/keys', { icon: 'key' }), create] });
  if (names.length === 0) {
    return h('div', { class: 'page' }, head, h('div', { class: 'card' }, empty({
      icon: 'tag', title: 'No product yet', text: 'A product is a name with versions. Each version is one file that never changes.', action: button('New product', { look: 'primary', icon: 'plus', onclick: newProduct }),
      help: linkButton('How a build server uploads', '#/keys', { look: 'quiet' }),
    }), h('details', { class: 'disclosure' }, h('summary', null, 'The line for a build server'), snippet(productUpload(base(), { name: 'NAME' })))));
  }
  let words = ctx.query.get('q') ?? '';
  const search = h('input', { class: 'input', type: 'search', value: words, 'aria-label': 'Find a product', placeholder: 'Find a product', oninput: () => { words = search.value; keepQuery({ q: words }); list.reload(); } });
  const list = table({
    caption: 'Products', keyOf: (row) => row.name, sort: 'name',
    columns: [
      { label: 'Name', head: true, sort: 'name', cell: (row) => h('a', { class: 'wrap', href: link('/products/:name', { name: row.name }) }, row.name) },
      { label: 'Versions', end: true, cell: (row) => row.versions },
      { label: 'Newest upload', cell: (row) => (row.newest ? h('span', null, row.newest.version, ' ', h('span', { class: 'muted small' }, time(row.newest.uploadedAt))) : h('span', { class: 'muted' }, 'none')) },
      { label: 'Members', end: true, cell: (row) => row.members },
    ],
    load: async ({ cursor, sort }) => {
      const fits = names.filter((name) => name.toLowerCase().includes(words.trim().toLowerCase()));
      if (sort === '-name') fits.reverse();
      const from = cursor ?? 0;
      const rows = await Promise.all(fits.slice(from, from + PAGE).map(describe));
      return { rows, next: from + PAGE < fits.length ? from + PAGE : null };
    },
    empty: () => nothingFits(`No product matches “${words.trim()}”`, () => { words = ''; search.value = ''; keepQuery({}); list.reload(); }),
  });
  return h('div', { class: 'page' }, head, names.length > 6 && h('div', { class: 'searchline' }, icon('search'), search), h('div', { class: 'card card-flush' }, list));
}

async function describe(name) {
  const product = await api.get(`/product/fetch/${seg(name)}`).catch((error) => (error.status === 404 ? { versions: {}, tokens: {} } : Promise.reject(error)));
  const versions = Object.entries(product.versions).map(([version, one]) => ({ version, ...one }));
  versions.sort((a, b) => instant(b.uploadedAt) - instant(a.uploadedAt) || b.version.localeCompare(a.version, 'en', { numeric: true }));
  return { name, versions: versions.length, newest: versions[0], members: Object.keys(product.tokens).length };
}

async function newProduct() {
  await drawer({ title: 'New product', body: (close) => form({
    fields: [field({ label: 'Name', name: 'name', required: true, hint: 'Nearly any text up to 128 bytes; it is part of the address builds are fetched from.' })],
    submit: 'Create product', busy: 'Creating…', cancel: () => close(),
    onsubmit: async ({ name }) => {
      await api.put('/product/create', { name: name.trim() }).catch((error) => { throw Object.assign(error, { field: 'name' }); });
      announce(`${name.trim()} created`);
      close();
      go(link('/products/:name', { name: name.trim() }));
    },
  }) });
}
