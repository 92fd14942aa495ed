// Repositories that machines install from, and the upstreams they are filled from.
import { h } from '../dom.js';
import { number } from '../format.js';
import { go, link } from '../router.js';
import { badge } from '../parts/badge.js';
import { importDrawer } from '../parts/bundles.js';
import { button } from '../parts/button.js';
import { size, time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { pageHead } from '../parts/page.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { repoFields } from '../parts/repofields.js';
import { upstreamFields, upstreamValues } from '../parts/upstreamfields.js';
import { TYPES, createRepo, createUpstream, nameRule, repoNamed, repoNames, upstreamNamed, upstreamNames } from '../data/repos.js';

export const title = 'Repositories';
const PAGE = 50;
export const STATUS = { new: ['Never synced', ''], syncing: ['Syncing', 'accent'], ok: ['Up to date', 'ok'], failed: ['Failed', 'bad'] };

export async function render(ctx) {
  // A server may offer one of the two alone; what it does not know is left out.
  const none = (error) => (error.status === 404 ? null : Promise.reject(error));
  const [repos, upstreams] = await Promise.all([repoNames(ctx.signal).catch(none), upstreamNames(ctx.signal).catch(none)]);
  const paged = (names, one) => async ({ cursor }) => {
    const from = cursor ?? 0;
    const rows = await Promise.all(names.slice(from, from + PAGE).map((name) => one(name, ctx.signal)));
    return { rows, next: from + PAGE < names.length ? from + PAGE : null };
  };
  const made = repos && table({
    caption: 'Repositories', keyOf: (row) => row.name, load: paged(repos, repoNamed),
    columns: [
      { label: 'Name', head: true, cell: (row) => h('a', { href: link('/repositories/:name', { name: row.name }) }, row.name) },
      { label: 'Type', cell: (row) => badge(row.type, 'accent', { plain: true }) },
      { label: 'Packages', end: true, cell: (row) => number(row.packages) },
      { label: 'Size', end: true, tight: true, cell: (row) => size(row.size) },
      { label: 'Published', tight: true, cell: (row) => time(row.updated_at) },
    ],
    empty: empty({ icon: 'layers', level: 'h3', title: 'No repository yet', text: 'A repository is what apt, dnf or curl fetch from: signed lists of packages you choose.', action: button('New repository', { look: 'primary', icon: 'plus', onclick: newRepo }) }),
  });
  const sources = upstreams && table({
    caption: 'Upstreams', keyOf: (row) => row.name, load: paged(upstreams, upstreamNamed),
    columns: [
      { label: 'Name', head: true, cell: (row) => h('a', { href: link('/upstreams/:name', { name: row.name }) }, row.name) },
      { label: 'Type', cell: (row) => badge(row.type, 'accent', { plain: true }) },
      { label: 'Source', cell: (row) => h('span', { class: 'small wrap' }, row.path) },
      { label: 'State', cell: (row) => badge(...(STATUS[row.status] ?? [row.status, ''])) },
      { label: 'Packages', end: true, cell: (row) => row.packages },
      { label: 'Synced', tight: true, cell: (row) => time(row.synced_at) },
    ],
    empty: empty({ icon: 'globe', level: 'h3', title: 'No upstream yet', text: 'An upstream is somebody else’s repository that is copied here, so that machines without internet can use it.', action: button('New upstream', { icon: 'plus', onclick: newUpstream }) }),
  });
  if (upstreams?.length) ctx.every(5000, () => sources.reload());
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'What machines install from, signed by this server.', actions: [upstreams && button('New upstream', { icon: 'globe', onclick: newUpstream }), repos && button('Import a bundle', { icon: 'upload', onclick: () => importDrawer(ctx) }), repos && button('New repository', { look: 'primary', icon: 'plus', onclick: newRepo })] }),
    made && h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Repositories')), made),
    sources && h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Upstreams')), sources));
}

async function newRepo() {
  const type = field({ label: 'Type', name: 'type', type: 'select', options: Object.entries(TYPES), value: 'apt' });
  const options = repoFields(type, {}, true);
  await drawer({ title: 'New repository', body: (close) => form({
    fields: [field({ label: 'Name', name: 'name', required: true, hint: 'Part of its address.', validate: nameRule }), type, options],
    submit: 'Create repository', busy: 'Creating…', cancel: () => close(),
    onsubmit: async ({ name, type: kind }) => {
      await createRepo({ name: name.trim(), type: kind, ...options.chosen() }).catch((error) => { throw error.status === 409 ? Object.assign(error, { field: 'name' }) : error; });
      announce(`${name.trim()} created`);
      close();
      go(link('/repositories/:name', { name: name.trim() }));
    },
  }) });
}

async function newUpstream() {
  const fields = upstreamFields();
  await drawer({ title: 'New upstream', wide: true, body: (close) => form({
    fields: [field({ label: 'Name', name: 'name', required: true, validate: nameRule }), field({ label: 'Type', name: 'type', type: 'select', options: Object.entries(TYPES), value: 'apt' }), fields],
    submit: 'Create and sync', busy: 'Creating…', cancel: () => close(),
    onsubmit: async (values) => {
      await createUpstream({ name: values.name.trim(), type: values.type, ...upstreamValues(values) }).catch((error) => { throw error.status === 409 ? Object.assign(error, { field: 'name' }) : error; });
      announce(`${values.name.trim()} created; the first sync has begun`);
      close();
      go(link('/upstreams/:name', { name: values.name.trim() }));
    },
  }) });
}
