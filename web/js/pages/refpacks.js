// RefPacks: the data sets of the registry, searched by the server, with their titles, tags and newest versions.
import { h, icon } from '../dom.js';
import { api } from '../api.js';
import { bytes } from '../format.js';
import { go, keepQuery, link } from '../router.js';
import { base } from '../state.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { dropzone } from '../parts/dropzone.js';
import { empty, nothingFits } from '../parts/empty.js';
import { pageHead } from '../parts/page.js';
import { progress } from '../parts/progress.js';
import { snippets } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { refpackPush } from '../snippets.js';

export const title = 'RefPacks';

export async function render(ctx) {
  let words = ctx.query.get('q') ?? '';
  let archived = ctx.query.get('archived') === '1';
  let timer;
  const again = () => {
    keepQuery({ q: words.trim(), archived: archived ? '1' : '' });
    list.reload();
  };
  const search = h('input', { class: 'input', type: 'search', value: words, 'aria-label': 'Find a RefPack', placeholder: 'Id, title or description', oninput: () => { words = search.value; clearTimeout(timer); timer = setTimeout(again, 150); } });
  const chip = h('button', { type: 'button', class: 'chip', 'aria-pressed': String(archived), onclick: () => { archived = !archived; chip.setAttribute('aria-pressed', String(archived)); again(); } }, 'Archived too');
  const push = () => upload();
  const list = table({
    caption: 'RefPacks', keyOf: (row) => row.id,
    columns: [
      { label: 'Data set', head: true, cell: (row) => h('div', null, h('a', { href: link('/refpacks/:id', { id: row.id }) }, row.name || row.id), h('div', { class: 'muted small mono wrap' }, row.id)) },
      { label: 'About', cell: (row) => row.description && h('span', { class: 'clip-2 small' }, row.description) },
      { label: 'Version', cell: (row) => h('span', { class: 'row' }, row.version, row.isArchived && badge('Archived', 'warn')) },
      { label: 'Tags', cell: (row) => row.tags.length > 0 && h('span', { class: 'row' }, row.tags.slice(0, 4).map((tag) => badge(tag))) },
      { label: 'Owner', cell: (row) => h('span', { class: 'wrap small' }, row.ownerId) },
      { label: 'Changed', tight: true, cell: (row) => time(row.updatedAt) },
    ],
    load: async ({ cursor }) => {
      const found = await api.get('/packages', { query: { q: words.trim(), includeArchived: archived || undefined, page: cursor ?? 1, pageSize: 50 }, signal: ctx.signal });
      return { rows: found.items, next: found.pageNumber < found.totalPages ? found.pageNumber + 1 : null };
    },
    empty: () => (words.trim() ? nothingFits(`No RefPack matches “${words.trim()}”`, () => { words = ''; search.value = ''; again(); search.focus(); }) : empty({
      icon: 'book', title: 'No RefPack yet', text: 'A RefPack is a ZIP with one JSON data set, its manifest, and if you like a schema, a readme and a changelog.', action: button('Upload a RefPack', { look: 'primary', icon: 'upload', onclick: push }),
    })),
  });
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Reference data as packages: programs fetch a version and know that it never changes.', actions: button('Upload a RefPack', { look: 'primary', icon: 'upload', onclick: push }) }),
    h('div', { class: 'row' }, h('div', { class: 'searchline' }, icon('search'), search), chip), h('div', { class: 'card card-flush' }, list));
}

async function upload() {
  const result = h('div', { class: 'stack', 'aria-live': 'polite' });
  let last = null;
  const send = async (files) => {
    for (const file of files) {
      const bar = progress(`Uploading ${file.name}`);
      const line = h('div', { class: 'stack stack-tight' }, bar);
      result.append(line);
      const body = new FormData();
      body.append('file', file, file.name);
      try {
        const done = await api.upload('/packages', body, { progress: (sent, whole) => bar.at(sent, whole, file.name, `${bytes(Math.min(sent, whole))} of ${bytes(whole)}`) });
        last = done.packageId;
        line.replaceChildren(h('div', { class: 'row' }, badge('Done', 'ok'), h('a', { href: link('/refpacks/:id', { id: done.packageId }) }, `${done.packageId} ${done.version}`)));
      } catch (error) {
        line.replaceChildren(h('div', { class: 'told told-bad' }, h('strong', { class: 'wrap' }, file.name), h('p', { class: 'small' }, error.message),
          error.details && h('ul', { class: 'stack stack-tight small' }, error.details.map((one) => h('li', null, h('code', null, one.path || one.code), ' ', one.message)))));
      }
    }
  };
  await drawer({ title: 'Upload a RefPack', body: (close) => {
    result.addEventListener('click', (event) => { if (event.target.closest('a')) close(); });
    return h('div', { class: 'stack' }, dropzone({ label: 'Drop .refpack.zip files', hint: 'Checked on arrival: what does not keep to the rules is refused, with the reason.', accept: '.zip', onfiles: send }), result,
      h('details', { class: 'disclosure' }, h('summary', null, 'From a build server'), snippets(refpackPush(base()), 'refpack')), h('div', { class: 'actions' }, button('Close', { onclick: () => close() })));
  } });
  if (!last) return;
  announce(`${last} uploaded`);
  go(link('/refpacks/:id', { id: last }));
}
