// One product: its versions, who may do what with it, and the lines to fetch and upload.
import { h } from '../dom.js';
import { api } from '../api.js';
import { bytes, count, instant } from '../format.js';
import { go, link } from '../router.js';
import { base } from '../state.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { digest, size, time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { check, field, form, group } from '../parts/field.js';
import { matrix } from '../parts/matrix.js';
import { card, pageHead } from '../parts/page.js';
import { progress } from '../parts/progress.js';
import { snippets } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { tabs } from '../parts/tabs.js';
import { announce } from '../parts/toast.js';
import { productDownload, productUpload, seg, verify } from '../snippets.js';
import { saveArtifact } from '../data/files.js';

export const title = (params) => params.name;
const RIGHTS = [['download', 'Download'], ['upload', 'Upload'], ['delete', 'Delete'], ['maintainer', 'Maintain']];

export async function render(ctx, { name }) {
  const product = await api.get(`/product/fetch/${seg(name)}`, { signal: ctx.signal }).catch((error) => {
    throw error.status === 403 ? Object.assign(error, { message: 'You are no member of this product. Ask one of its maintainers or the owner of this server.' }) : error;
  });
  const versions = Object.entries(product.versions).map(([version, one]) => ({ version, ...one, digest: one.checksum.replace(/^sha256:/, '') }));
  versions.sort((a, b) => instant(b.uploadedAt) - instant(a.uploadedAt) || b.version.localeCompare(a.version, 'en', { numeric: true }));
  const mine = ctx.user.operator ? { maintainer: true, upload: true, delete: true } : product.tokens[ctx.user.fingerprint] ?? {};
  const add = mine.upload && (() => upload(name, ctx));
  const remove = async () => {
    const done = await confirm({
      title: `Delete ${name}?`, text: versions.length ? `All of its ${count(versions.length, 'version')} go with it, and builds that fetch them will fail.` : 'It has no versions.', verb: 'Delete product', danger: true, typed: versions.length > 1 ? name : undefined, busy: 'Deleting…',
      work: () => api.del(`/product/delete/${seg(name)}`),
    });
    if (!done) return;
    announce(`${name} deleted`);
    go('#/products');
  };
  return h('div', { class: 'page' },
    pageHead({ title: name, lead: `${count(versions.length, 'version')}, ${bytes(versions.reduce((sum, one) => sum + one.size, 0))}`, actions: [add && button('Upload version', { look: 'primary', icon: 'upload', onclick: add }), mine.maintainer && button('Delete', { look: 'danger', icon: 'trash', onclick: remove })] }),
    tabs({ label: name, chosen: ctx.tab('versions'), onchange: (tab) => history.replaceState(null, '', link('/products/:name', { name }, { tab: tab === 'versions' ? '' : tab })), items: [
      { id: 'versions', label: 'Versions', render: () => list(name, versions, mine, add, ctx) },
      { id: 'members', label: 'Members', render: () => members(name, product, mine, ctx) },
      { id: 'use', label: 'Use it', render: () => use(name, versions) },
    ] }));
}

function list(name, versions, mine, add, ctx) {
  return h('div', { class: 'card card-flush' }, table({
    caption: `Versions of ${name}`, keyOf: (row) => row.version, rows: versions,
    columns: [
      { label: 'Version', head: true, cell: (row) => h('span', { class: 'wrap' }, row.version) },
      { label: 'File', cell: (row) => h('span', { class: 'wrap' }, row.filename) },
      { label: 'Size', end: true, tight: true, cell: (row) => size(row.size) },
      { label: 'SHA-256', cell: (row) => digest(row.digest) },
      { label: 'Uploaded', tight: true, cell: (row) => time(row.uploadedAt) },
      { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' },
        button(`Download ${row.version}`, { look: 'icon', icon: 'download', onclick: () => saveArtifact(row.digest, row.filename) }),
        button(`Commands for ${row.version}`, { look: 'icon', icon: 'terminal', onclick: () => commands(name, row) }),
        (mine.delete || mine.maintainer) && button(`Delete ${row.version}`, { look: 'icon', icon: 'trash', onclick: () => removeVersion(name, row, ctx) })) },
    ],
    empty: empty({ icon: 'tag', title: 'No version yet', text: 'A version is one file. Once uploaded it never changes: another file needs another version.', action: add && button('Upload version', { look: 'primary', icon: 'upload', onclick: add }) }),
  }));
}

async function commands(name, row) {
  const thing = { name, version: row.version, filename: row.filename };
  await drawer({ title: `${name} ${row.version}`, body: () => h('div', { class: 'stack' }, snippets(productDownload(base(), thing), 'product'), snippets(verify(row.digest, row.filename), 'verify')) });
}

async function removeVersion(name, row, ctx) {
  const done = await confirm({
    title: `Delete ${name} ${row.version}?`, text: 'Builds that fetch it will fail. The version may be uploaded again afterwards, with another file.', verb: 'Delete version', danger: true, busy: 'Deleting…',
    work: () => api.del('/product/modify/deleteVersion', { body: { product: name, version: row.version } }),
  });
  if (!done) return;
  announce(`${row.version} deleted`);
  ctx.refresh();
}

async function upload(name, ctx) {
  const bar = progress('Uploading');
  bar.hidden = true;
  const done = await drawer({ title: `New version of ${name}`, body: (close) => form({
    fields: [field({ label: 'Version', name: 'version', required: true, hint: 'Versions are never replaced: choose a new name for every build.' }), field({ label: 'File', name: 'file', type: 'file', required: true }), bar],
    submit: 'Upload', busy: 'Uploading…', cancel: () => close(),
    onsubmit: async ({ version, file }) => {
      const body = new FormData();
      body.append('product', name);
      body.append('version', version.trim());
      body.append('file', file, file.name);
      bar.hidden = false;
      await api.upload('/product/upload', body, { progress: (sent, whole) => bar.at(sent, whole, file.name, `${bytes(Math.min(sent, whole))} of ${bytes(whole)}`) })
        .catch((error) => { bar.hidden = true; throw error.status === 409 ? Object.assign(error, { field: 'version', message: `Version ${version.trim()} is there already, and versions are never replaced.` }) : error; });
      close(version.trim());
    },
  }) });
  if (!done) return;
  announce(`${name} ${done} uploaded`);
  ctx.refresh();
}

function members(name, product, mine, ctx) {
  // The key one looks with comes first.
  const entries = Object.entries(product.tokens).sort(([a], [b]) => (b === ctx.user.fingerprint) - (a === ctx.user.fingerprint));
  const save = async (token, column, on, input) => {
    const permissions = { ...product.tokens[token], [column]: on };
    try {
      await api.put('/product/modify/addToken', { product: name, token, permissions });
      product.tokens[token] = permissions;
      announce('Saved', { quiet: true });
    } catch (error) {
      input.checked = !on;
      announce(error.message);
    }
  };
  const who = (token) => h('span', { class: 'row' }, h('code', null, token), token === ctx.user.fingerprint && badge('you', 'accent'));
  const away = (token) => mine.maintainer && button(`Remove ${token}`, { look: 'icon', icon: 'x', onclick: async () => {
    const done = await confirm({ title: 'Remove this member?', text: `${token} can no longer use ${name}. The key itself stays valid elsewhere.`, verb: 'Remove', danger: true, busy: 'Removing…', work: () => api.del('/product/modify/deleteToken', { body: { product: name, token } }) });
    if (done) ctx.refresh();
  } });
  const add = mine.maintainer && button('Add member', { look: 'small', icon: 'plus', onclick: () => newMember(name, entries.map(([token]) => token), ctx) });
  return card('Who may do what', { actions: add }, h('p', { class: 'hint' }, 'Members are keys, known by their fingerprints. No right implies another: who uploads may not download unless that is ticked too. Admin keys may do everything.'),
    entries.length === 0 ? empty({ icon: 'key', level: 'h3', title: 'No member', text: 'Only admin keys and the owner of this server reach this product.' })
      : matrix({ caption: `Members of ${name}`, corner: 'Key', rows: entries.map(([token]) => [token, who(token)]), columns: RIGHTS, value: (token, column) => product.tokens[token][column], onchange: save, disabled: !mine.maintainer, more: mine.maintainer && away, moreLabel: 'Remove' }));
}

async function newMember(name, known, ctx) {
  const tokens = ctx.user.operator ? (await api.get('/tokens')).map((one) => one.fingerprint).filter((one) => !known.includes(one)) : [];
  const hint = tokens.length ? 'One of the keys of this server.' : 'The fingerprint of a key (fp:…). Keys are made on the page Keys.';
  const done = await drawer({ title: `Add a member to ${name}`, body: (close) => form({
    fields: [
      tokens.length ? field({ label: 'Key', name: 'token', type: 'select', options: tokens, hint }) : field({ label: 'Key', name: 'token', required: true, hint }),
      group('It may', ...RIGHTS.map(([key, label]) => check({ label, name: key, checked: key === 'download', hint: { maintainer: 'Add and remove members, delete the product.', delete: 'Delete versions.' }[key] }))),
    ],
    submit: 'Add member', cancel: () => close(),
    onsubmit: async ({ token, ...permissions }) => {
      await api.put('/product/modify/addToken', { product: name, token: token.trim(), permissions }).catch((error) => { throw Object.assign(error, { field: 'token' }); });
      close(true);
    },
  }) });
  if (done) ctx.refresh();
}

function use(name, versions) {
  const version = versions[0]?.version;
  return h('div', { class: 'stack' },
    card('Fetch it', {}, h('p', { class: 'hint' }, 'The key stands in the environment variable PACKHOUSE_TOKEN.'), snippets(productDownload(base(), { name, version, filename: versions[0]?.filename }), 'product')),
    card('Upload from a build server', {}, h('p', { class: 'hint' }, 'Give the build server a key of its own, as a member that may upload only.'), snippets([productUpload(base(), { name })])));
}
