// Keys: tokens for build servers and scripts, shown once when made, known by their fingerprints afterwards.
import { h } from '../dom.js';
import { api } from '../api.js';
import { ago, instant } from '../format.js';
import { base } from '../state.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm, secret } from '../parts/dialog.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { check, field, form, group } from '../parts/field.js';
import { notice } from '../parts/notice.js';
import { pageHead } from '../parts/page.js';
import { snippet, snippets } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { apps } from '../data/apps.js';
import { appUpload, productUpload, refpackPush } from '../snippets.js';

export const title = 'Keys';

export async function render(ctx) {
  const { operator } = ctx.user;
  const [tokens, scoped, list, uses] = await Promise.all([operator ? api.get('/tokens', { signal: ctx.signal }) : null, api.get('/token/list', { signal: ctx.signal }), apps(ctx.signal), api.get('/ui/api/keys', { signal: ctx.signal })]);
  const names = new Map(list.map((app) => [app.ID, app.AppName]));
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'For build servers and scripts. A key is shown once, when it is made; only its fingerprint is kept.' }),
    operator && general(tokens, uses.server, ctx),
    uploads(scoped.tokens, uses.uploads, list, names, ctx));
}

/** When and from where a key was last used. */
function used(one) {
  return one ? h('span', null, time(one.at), h('span', { class: 'muted small' }, ` from ${one.address}`)) : h('span', { class: 'muted' }, 'never');
}

function general(tokens, uses, ctx) {
  return h('section', { class: 'card card-flush' },
    h('div', { class: 'card-head' }, h('h2', null, 'Keys of this server'), button('New key', { look: 'primary small', icon: 'plus', onclick: () => create(ctx) })),
    h('p', { class: 'padded muted' }, 'Sent as X-Api-Token. A plain key reaches the products it is a member of; an admin key may do everything.'),
    table({
      caption: 'Keys of this server', keyOf: (row) => row.fingerprint, rows: tokens,
      columns: [
        { label: 'Fingerprint', head: true, cell: (row) => h('code', null, row.fingerprint) },
        { label: 'Kind', cell: (row) => (row.admin ? badge('Admin', 'warn', { plain: true }) : badge('Plain')) },
        { label: 'Made', cell: (row) => time(row.createdAt) },
        { label: 'Last used', cell: (row) => used(uses[row.fingerprint]) },
        { label: 'Actions', end: true, tight: true, cell: (row) => button(`Prune ${row.fingerprint}`, { look: 'icon', icon: 'trash', onclick: () => prune(row, uses[row.fingerprint], ctx) }) },
      ],
      empty: empty({ icon: 'key', level: 'h3', title: 'No key yet', text: 'Make one for each build server, so that each can be taken away alone.' }),
    }));
}

async function create(ctx) {
  let raw = null;
  let admin = false;
  await drawer({ title: 'New key', body: (close) => form({
    fields: [notice('info', 'A plain key can do nothing until it is made a member of a product there. That is what a build server should have.'), check({ label: 'Admin', name: 'admin', hint: 'May do everything on this server: every product, repository and key.' })],
    submit: 'Create key', busy: 'Creating…', cancel: () => close(),
    onsubmit: async (values) => {
      ({ admin } = values);
      raw = await api.put('/register', { admin });
      close();
    },
  }) });
  if (!raw) return;
  await secret({
    title: admin ? 'New admin key' : 'New key', label: 'Key', value: raw,
    more: h('div', { class: 'stack' }, h('p', null, admin ? 'For example, publish a RefPack with it:' : 'Make it a member of a product next, then upload with it:'), snippet({ label: 'In the shell of the build server', text: 'read -rs PACKHOUSE_TOKEN && export PACKHOUSE_TOKEN' }), admin ? snippets(refpackPush(base()), 'refpack') : snippet(productUpload(base(), { name: 'NAME' }))),
  });
  raw = null;
  ctx.refresh();
}

async function prune(row, last, ctx) {
  const done = await confirm({
    title: `Prune ${row.fingerprint}?`, text: [last ? h('p', null, h('strong', null, `Used ${ago(instant(last.at))} from ${last.address}.`)) : 'It was never used.', 'Whatever uses this key is refused from now on, and it leaves every product it is a member of.', 'This cannot be undone: a new key has another fingerprint.'], verb: 'Prune', danger: true, busy: 'Pruning…',
    work: () => api.del(`/prune/${encodeURIComponent(row.fingerprint)}`),
  });
  if (!done) return;
  announce(`${row.fingerprint} pruned`);
  ctx.refresh();
}

function uploads(tokens, uses, list, names, ctx) {
  const sorted = [...tokens].sort((a, b) => instant(b.created_at) - instant(a.created_at));
  const add = () => createUpload(list, ctx);
  return h('section', { class: 'card card-flush' },
    h('div', { class: 'card-head' }, h('h2', null, 'Upload keys for apps'), list.length > 0 && button('New upload key', { look: 'small', icon: 'plus', onclick: add })),
    h('p', { class: 'padded muted' }, 'Sent as Authorization: Bearer. They can upload releases of the apps named here, and nothing else.'),
    table({
      caption: 'Upload keys for apps', keyOf: (row) => row.id, rows: sorted,
      columns: [
        { label: 'Name', head: true, cell: (row) => row.name },
        { label: 'Begins with', cell: (row) => h('code', null, row.token_prefix) },
        { label: 'Apps', cell: (row) => h('span', { class: 'wrap' }, row.allowed_apps.map((id) => names.get(id) ?? 'a deleted app').sort((a, b) => a.localeCompare(b)).join(', ')) },
        { label: 'Ends', cell: (row) => (row.expires_at ? (instant(row.expires_at) < Date.now() ? badge('Ended', 'bad') : time(row.expires_at)) : h('span', { class: 'muted' }, 'never')) },
        { label: 'Made', cell: (row) => time(row.created_at) },
        { label: 'Last used', cell: (row) => used(uses[row.id]) },
        { label: 'Actions', end: true, tight: true, cell: (row) => button(`Delete ${row.name}`, { look: 'icon', icon: 'trash', onclick: () => removeUpload(row, ctx) }) },
      ],
      empty: empty({ icon: 'key', level: 'h3', title: 'No upload key yet', text: list.length ? 'Make one for the build server that uploads releases.' : 'They are for apps; there is no app yet.', action: list.length > 0 && button('New upload key', { icon: 'plus', onclick: add }) }),
    }));
}

async function createUpload(list, ctx) {
  let made = null;
  const boxes = list.map((app) => check({ label: app.AppName, name: app.ID }));
  await drawer({ title: 'New upload key', body: (close) => form({
    fields: [
      field({ label: 'Name', name: 'name', required: true, hint: 'Where it is used, for example “Build server”.' }),
      field({ label: 'Ends on', name: 'expires', type: 'date', hint: 'Empty: it does not end by itself.' }),
      group('Apps it may upload to', ...boxes),
    ],
    submit: 'Create key', busy: 'Creating…', cancel: () => close(),
    onsubmit: async ({ name, expires, ...chosen }) => {
      const allowed = Object.entries(chosen).filter(([, on]) => on).map(([id]) => id);
      if (allowed.length === 0) throw new Error('Choose at least one app.');
      made = await api.post('/token/create', { name: name.trim(), allowed_apps: allowed, ...(expires ? { expires_at: new Date(`${expires}T23:59:59`).toISOString() } : {}) });
      close();
    },
  }) });
  if (!made) return;
  const app = list.find((one) => one.ID === made.allowed_apps[0])?.AppName ?? 'APP';
  await secret({ title: `New upload key “${made.name}”`, label: 'Key', value: made.token, more: h('div', { class: 'stack' }, h('p', null, 'Upload a release with it:'), snippet(appUpload(base(), { app, version: '1.0.0', channel: 'stable' }))) });
  made = null;
  ctx.refresh();
}

async function removeUpload(row, ctx) {
  const done = await confirm({ title: `Delete “${row.name}”?`, text: 'Builds that upload with it are refused from now on.', verb: 'Delete', danger: true, busy: 'Deleting…', work: () => api.del('/token/delete', { body: { id: row.id } }) });
  if (!done) return;
  announce(`${row.name} deleted`);
  ctx.refresh();
}
