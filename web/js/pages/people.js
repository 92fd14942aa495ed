// People: the team users of this owner, what each may do as one matrix, and the owner's own password.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { count, words } from '../format.js';
import { state } from '../state.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { field, form, password } from '../parts/field.js';
import { matrix } from '../parts/matrix.js';
import { card, facts, pageHead } from '../parts/page.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { AXES, apps, axes } from '../data/apps.js';

export const title = 'People';

const GROUPS = [['apps', 'Apps', 'Apps'], ['channels', 'Channels', 'Channels'], ['platforms', 'Platforms', 'Platforms'], ['archs', 'Architectures', 'Archs']];
const VERBS = [['create', 'Create'], ['edit', 'Edit'], ['delete', 'Delete'], ['upload', 'Upload'], ['download', 'Download']];

export async function render(ctx) {
  const [{ users }, things] = await Promise.all([api.get('/users/list', { signal: ctx.signal }), everything(ctx.signal)]);
  const add = () => edit(null, things, ctx);
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Team users work on apps in your name, with the rights you give them.', actions: button('New team user', { look: 'primary', icon: 'plus', onclick: add }) }),
    h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Team users')), table({
      caption: 'Team users', keyOf: (row) => row.id, rows: users,
      columns: [
        { label: 'Name', head: true, cell: (row) => h('span', { class: 'wrap' }, row.username) },
        { label: 'May', cell: (row) => summary(read(row.permissions)) },
        { label: 'Sees', cell: (row) => sees(read(row.permissions), things) },
        { label: 'Changed', tight: true, cell: (row) => time(row.updated_at) },
        { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' }, button(`Edit ${row.username}`, { look: 'icon', icon: 'edit', onclick: () => edit(row, things, ctx) }), button(`Delete ${row.username}`, { look: 'icon', icon: 'trash', onclick: () => remove(row, ctx) })) },
      ],
      empty: empty({ icon: 'people', level: 'h3', title: 'Nobody but you', text: 'A team user signs in here with a name and a password of their own and sees only the apps you allow.', action: button('New team user', { look: 'primary', icon: 'plus', onclick: add }) }),
    })),
    card('You', {}, facts([['Name', state.user.username], ['Role', state.user.operator ? badge('Owner of this server', 'accent') : badge('Owner')]]), h('details', { class: 'disclosure' }, h('summary', null, 'Change your password'), own())));
}

async function everything(signal) {
  const [list, others] = await Promise.all([apps(signal), axes(signal)]);
  const things = { apps: list.map((app) => ({ id: app.ID, name: app.AppName })) };
  for (const axis of AXES) things[axis.rights] = others[axis.kind];
  return things;
}

/** Rights as the server lists them, with small letters. */
function read(given) {
  const rights = {};
  for (const [key, , wire] of GROUPS) {
    const found = given?.[wire] ?? {};
    rights[key] = { allowed: [...(found.Allowed ?? [])] };
    for (const [verb] of VERBS) rights[key][verb] = Boolean(found[verb[0].toUpperCase() + verb.slice(1)]);
  }
  return rights;
}

function summary(rights) {
  const lines = GROUPS.map(([key, label]) => [label, VERBS.filter(([verb]) => rights[key][verb]).map(([, words_]) => words_.toLowerCase())]).filter(([, verbs]) => verbs.length);
  return lines.length ? h('div', { class: 'small' }, lines.map(([label, verbs]) => h('div', null, h('strong', null, `${label}: `), words(verbs)))) : h('span', { class: 'muted' }, 'Only look');
}

function sees(rights, things) {
  const known = things.apps.filter((app) => rights.apps.allowed.includes(app.id)).map((app) => app.name);
  if (known.length === 0) return h('span', { class: 'muted' }, 'No app');
  return h('span', { class: 'small wrap' }, known.length > 3 ? `${known.slice(0, 3).join(', ')} and ${known.length - 3} more` : words(known));
}

async function edit(user, things, ctx) {
  const rights = read(user?.permissions);
  const done = await drawer({ title: user ? `Edit ${user.username}` : 'New team user', wide: true, body: (close) => form({
    fields: [
      field({ label: 'Name', name: 'username', required: true, value: user?.username ?? '', autocapitalize: 'none', hint: 'Letters, digits, and . _ @ - inside.', validate: (text) => /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(text.trim()) ? null : 'Up to 64 letters, digits and . _ @ -, the first a letter or digit.' }),
      password({ label: user ? 'New password' : 'Password', name: 'password', required: !user, autocomplete: 'new-password', hint: user ? 'Empty: it stays as it is.' : 'Tell it to them by a way you trust.' }),
      rightsOf(rights, things),
    ],
    submit: user ? 'Save' : 'Create team user', cancel: () => close(),
    onsubmit: async ({ username, password: word }) => {
      const body = { username: username.trim(), permissions: rights, ...(word ? { password: word } : {}), ...(user ? { id: user.id } : {}) };
      await api.post(user ? '/user/update' : '/user/create', body).catch((error) => { throw error.status === 409 ? Object.assign(error, { field: 'username' }) : error; });
      close(username.trim());
    },
  }) });
  if (!done) return;
  announce(user ? `${done} saved` : `${done} created`);
  ctx.refresh();
}

function rightsOf(rights, things) {
  const set = (group, verb, on) => { rights[group][verb] = on; };
  const value = (group, verb) => (group !== 'apps' && ['upload', 'download'].includes(verb) ? null : rights[group][verb]);
  return h('fieldset', { class: 'fields' }, h('legend', null, 'What they may do'),
    h('p', { class: 'hint muted small' }, 'Rights count for what is ticked below the table. What they create themselves is added to it.'),
    matrix({ caption: 'What they may do', corner: 'With', rows: GROUPS.map(([key, label]) => [key, label]), columns: VERBS, value, onchange: set }),
    GROUPS.map(([key, label]) => allowed(key, label, rights, things[key])));
}

/** The list of things of one kind a person sees, folded up, with the number in its line. */
function allowed(key, label, rights, list) {
  const says = h('span', { class: 'muted' });
  const say = () => replace(says, ` ${list.length === 0 ? 'none exist yet' : `${rights[key].allowed.filter((id) => list.some((one) => one.id === id)).length} of ${count(list.length, 'entry', 'entries')}`}`);
  const boxes = list.map((one) => h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: rights[key].allowed.includes(one.id), onchange: (event) => {
    rights[key].allowed = rights[key].allowed.filter((id) => id !== one.id);
    if (event.target.checked) rights[key].allowed.push(one.id);
    say();
  } }), h('span', { class: 'wrap' }, one.name)));
  say();
  return h('details', { class: 'disclosure', open: key === 'apps' && list.length > 0 }, h('summary', null, `${label} they see:`, says), h('div', { class: 'picks' }, boxes));
}

async function remove(user, ctx) {
  const done = await confirm({ title: `Delete ${user.username}?`, text: 'They are signed out everywhere at once. What they uploaded stays.', verb: 'Delete', danger: true, busy: 'Deleting…', work: () => api.del('/user/delete', { body: { id: user.id } }) });
  if (!done) return;
  announce(`${user.username} deleted`);
  ctx.refresh();
}

function own() {
  const word = password({ label: 'New password', name: 'password', required: true, autocomplete: 'new-password', hint: 'Every session made with the old one ends, this one too.', validate: (text) => text.length >= 8 ? null : 'At least 8 characters.' });
  return form({ fields: [word], submit: 'Change password', look: '', onsubmit: async ({ password: text }) => {
    await api.post('/admin/update', { id: state.user.id, username: state.user.username, password: text });
    announce('Password changed. Sign in with it.');
    const { signOut } = await import('../main.js');
    await signOut();
  } });
}
