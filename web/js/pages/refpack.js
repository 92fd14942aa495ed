// One RefPack: its readme, the first rows of its data, its schema as a tree, its versions; and how to fetch it.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { bytes, count, instant } from '../format.js';
import { keepQuery, link } from '../router.js';
import { base } from '../state.js';
import { badge } from '../parts/badge.js';
import { busy, button, linkButton } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { time } from '../parts/digest.js';
import { empty } from '../parts/empty.js';
import { field } from '../parts/field.js';
import { mark } from '../parts/appmark.js';
import { markdown } from '../parts/markdown.js';
import { notice } from '../parts/notice.js';
import { card, facts, pageHead } from '../parts/page.js';
import { schemaTree } from '../parts/schematree.js';
import { snippets } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { tabs } from '../parts/tabs.js';
import { announce } from '../parts/toast.js';
import { refpack } from '../snippets.js';

export const title = (params) => params.id;

/** Rows shown of the data, and the largest data that is fetched for it without asking. */
const ROWS = 100;
const LARGE = 8 << 20;
const SIGNED = { none: 'Not signed', claims: 'Signed by its packer (not covering the manifest)', manifest: 'Signed, manifest included' };

export async function render(ctx, { id }) {
  const at = `/packages/${encodeURIComponent(id)}`;
  const { versions } = await api.get(`${at}/versions`, { signal: ctx.signal });
  const live = versions.filter((one) => !one.isArchived);
  const wanted = versions.find((one) => one.version === ctx.query.get('version'));
  const shown = wanted ?? live.find((one) => !one.version.split('+')[0].includes('-')) ?? live[0] ?? versions[0];
  const query = { version: shown.version };
  const meta = await api.get(`${at}/meta`, { query, signal: ctx.signal });
  const pick = field({ label: 'Version', type: 'select', options: versions.map((one) => [one.version, `${one.version}${one.isArchived ? ' (archived)' : ''}`]), value: shown.version, onchange: () => { keepQuery({ version: pick.value }); ctx.refresh(); } });
  const text = (name) => api.get(`${at}/${name}`, { query, signal: ctx.signal }).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
  ctx.title(meta.title || id);
  return h('div', { class: 'page' },
    pageHead({
      title: meta.title || id, lead: meta.description, before: mark(meta.title || id, null, 'large'),
      badges: [h('code', null, id), badge(shown.version, 'accent', { plain: true }), shown.isArchived && badge('Archived', 'warn'), (meta.tags ?? []).slice(0, 8).map((tag) => badge(tag))],
      actions: [linkButton('Download', `${at}?version=${encodeURIComponent(shown.version)}`, { look: 'primary', icon: 'download', download: '' })],
    }),
    shown.isArchived && notice('warn', 'This version is archived: it is no longer offered as the newest, but whoever names it still gets it.'),
    h('div', { class: 'aside' },
      tabs({ label: id, chosen: ctx.tab('readme'), items: [
        { id: 'readme', label: 'Readme', render: async () => readme(await text('readme'), meta, await text('changelog')) },
        { id: 'data', label: 'Data', render: () => data(at, shown, meta, ctx) },
        { id: 'schema', label: 'Schema', render: async () => schema(await text('schema')) },
        { id: 'versions', label: `Versions (${versions.length})`, render: () => versionsOf(id, at, versions, ctx) },
      ] }),
      h('div', { class: 'stack' },
        card('Fetch it', {}, pick, snippets(refpack(base(), { id, version: shown.version }), 'refpack-get')),
        card('What the manifest says', {}, facts([
          ['Authors', (meta.authors ?? []).join(', ')], ['Licence', meta.license], ['Made', time(meta.createdUtc)], ['Uploaded', time(shown.createdAt)], ['Signature', SIGNED[shown.signature] ?? shown.signature],
          ['Id field', h('code', null, meta.idField || 'id')], ['Name field', h('code', null, meta.nameField || 'name')],
          ...Object.entries(meta).filter(([key]) => key.startsWith('x-')).slice(0, 20).map(([key, value]) => [key, h('span', { class: 'wrap' }, typeof value === 'string' ? value : JSON.stringify(value))]),
        ])))));
}

function readme(text, meta, changelog) {
  const news = Array.isArray(changelog) && changelog.length > 0 && card('Changelog', { level: 'h3' }, h('ul', { class: 'lines' }, changelog.slice(0, 50).map((one) => h('li', { class: 'stack stack-tight' }, h('div', { class: 'row' }, h('strong', null, one.version), h('span', { class: 'muted small' }, Number.isFinite(instant(one.date)) ? time(one.date) : String(one.date))), h('p', { class: 'wrap' }, one.description)))));
  return h('div', { class: 'stack' }, h('div', { class: 'card' }, typeof text === 'string' && text.trim() ? markdown(text, { level: 1 }) : empty({ icon: 'book', title: 'No readme', text: meta.description ? 'This version brings none. What it is about stands above.' : 'This version brings none.' })), news);
}

async function data(at, shown, meta, ctx) {
  const address = `${at}/data?version=${encodeURIComponent(shown.version)}`;
  const head = await fetch(address, { method: 'HEAD', signal: ctx.signal, credentials: 'omit' });
  const length = Number(head.headers.get('content-length') ?? 0);
  const box = h('div', { class: 'card card-flush' });
  const load = async () => {
    const rows = await api.get(address, { signal: ctx.signal });
    replace(box, rowsOf(Array.isArray(rows) ? rows : [], meta));
  };
  if (length <= LARGE) await load();
  else replace(box, empty({ icon: 'list', title: `The data is ${bytes(length)}`, text: 'It is fetched as a whole to show its first rows.', action: button('Show it all the same', { onclick: load }), help: linkButton('Download it', address, { look: 'quiet', download: '' }) }));
  return box;
}

function rowsOf(rows, meta) {
  if (rows.length === 0) return empty({ icon: 'list', title: 'No rows', text: 'The data set is an empty array.' });
  const first = [meta.idField || 'id', meta.nameField || 'name'];
  const shown = rows.slice(0, ROWS);
  const columns = [...new Set([...first, ...shown.flatMap((row) => Object.keys(row))])].slice(0, 24);
  const cell = (value) => (value === undefined ? null : value !== null && typeof value === 'object' ? h('code', { class: 'small' }, clip(JSON.stringify(value))) : h('span', { class: typeof value === 'number' && 'number' }, clip(String(value))));
  return [
    h('p', { class: 'padded muted small data-note' }, rows.length > ROWS ? `The first ${ROWS} of ${count(rows.length, 'row')}` : count(rows.length, 'row'), columns.length === 24 && ', the first 24 fields'),
    h('div', { class: 'table-box data-box', tabindex: '0', role: 'region', 'aria-label': 'Data' }, h('table', { class: 'table' }, h('caption', { class: 'sr' }, 'First rows of the data'),
      h('thead', null, h('tr', null, columns.map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', null, shown.map((row) => h('tr', null, columns.map((name, at) => h(at === 0 ? 'th' : 'td', at === 0 ? { scope: 'row' } : null, cell(row[name])))))))),
  ];
}

function clip(text) {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

function schema(found) {
  if (!found) return h('div', { class: 'card' }, empty({ icon: 'filter', title: 'No schema', text: 'With a data.schema.json every upload is checked against it.' }));
  return card('What a row holds', {}, schemaTree(found), h('details', { class: 'disclosure' }, h('summary', null, 'The schema, word for word'), h('pre', { class: 'log', tabindex: '0', role: 'region', 'aria-label': 'Schema' }, JSON.stringify(found, null, 2))));
}

function versionsOf(id, at, versions, ctx) {
  const archiveAll = async () => {
    const done = await confirm({
      title: `Archive all of ${id}?`, text: 'Archived versions are no longer offered as the newest. Whoever names the version still gets it, so nothing that uses it breaks. You can offer each again later.', verb: 'Archive', danger: true, typed: id, busy: 'Archiving…',
      work: () => api.post(`${at}/archive`),
    });
    if (!done) return;
    announce('Archived');
    ctx.refresh();
  };
  // Each of the two takes back the other, so none is asked about.
  const archive = async (row, undo) => {
    await api.post(`${at}/archive`, undefined, { query: { version: row.version } });
    announce(`${row.version} is archived`, { undo: undo && (() => restore(row)) });
    ctx.again();
  };
  const restore = async (row, undo) => {
    await api.post('/ui/api/refpacks/restore', { id, version: row.version });
    announce(`${row.version} is offered again`, { undo: undo && (() => archive(row)) });
    ctx.again();
  };
  const press = (words, work) => (event) => busy(event.currentTarget, words, work).catch((error) => announce(error.message));
  return h('div', { class: 'card card-flush' }, table({
    caption: `Versions of ${id}`, keyOf: (row) => row.version, rows: versions,
    columns: [
      { label: 'Version', head: true, cell: (row) => h('a', { href: link('/refpacks/:id', { id }, { version: row.version }) }, row.version) },
      { label: 'State', cell: (row) => (row.isArchived ? badge('Archived', 'warn') : badge('Offered', 'ok')) },
      { label: 'Signature', cell: (row) => h('span', { class: 'small' }, SIGNED[row.signature] ?? row.signature) },
      { label: 'Uploaded', tight: true, cell: (row) => time(row.createdAt) },
      { label: 'Actions', end: true, tight: true, cell: (row) => (row.isArchived ? button('Offer again', { look: 'small', icon: 'retry', 'aria-label': `Offer ${row.version} again`, onclick: press('Offering…', () => restore(row, true)) }) : button('Archive', { look: 'small', icon: 'archive', 'aria-label': `Archive ${row.version}`, onclick: press('Archiving…', () => archive(row, true)) })) },
    ],
  }), versions.some((one) => !one.isArchived) && versions.length > 1 && h('div', { class: 'foot' }, button('Archive all versions', { look: 'danger small', icon: 'archive', onclick: archiveAll })));
}
