// People: the team users of this owner, what each may do as one matrix, and the owner's own password.
import { h, replace, uid } from '../dom.js';
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
  const [{ users }, things, people] = await Promise.all([api.get('/users/list', { signal: ctx.signal }), everything(ctx.signal), api.get('/ui/api/people', { signal: ctx.signal })]);
  const sessions = new Map([...people.owners, ...people.team].map((one) => [one.id, one]));
  const add = () => edit(null, things, ctx);
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Team users work on apps in your name, with the rights you give them.', actions: button('New team user', { look: 'primary', icon: 'plus', onclick: add }) }),
    h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Team users')), table({
      caption: 'Team users', keyOf: (row) => row.id, rows: users,
      columns: [
        { label: 'Name', head: true, cell: (row) => h('span', { class: 'wrap' }, row.username) },
        { label: 'May', cell: (row) => summary(read(row.permissions)) },
        { label: 'Sees', cell: (row) => sees(read(row.permissions), things) },
        { label: 'Signed in', tight: true, cell: (row) => signedIn(sessions.get(row.id)) },
        { label: 'Changed', tight: true, cell: (row) => time(row.updated_at) },
        { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' }, button(`Edit ${row.username}`, { look: 'icon', icon: 'edit', onclick: () => edit(row, things, ctx) }), sessions.get(row.id)?.sessions > 0 && button(`Sign ${row.username} out`, { look: 'icon', icon: 'exit', onclick: () => signOutAll(sessions.get(row.id), ctx) }), button(`Delete ${row.username}`, { look: 'icon', icon: 'trash', onclick: () => remove(row, ctx) })) },
      ],
      empty: empty({ icon: 'people', level: 'h3', title: 'Nobody but you', text: 'A team user signs in here with a name and a password of their own and sees only the apps you allow.', action: button('New team user', { look: 'primary', icon: 'plus', onclick: add }) }),
    })),
    state.user.operator && people.owners.length > 1 && owners(people.owners, ctx),
    card('You', { actions: button('Sign out everywhere', { icon: 'exit', onclick: () => signOutAll(sessions.get(state.user.id), ctx) }) }, facts([['Name', state.user.username], ['Role', state.user.operator ? badge('Owner of this server', 'accent') : badge('Owner')], ['Signed in', signedIn(sessions.get(state.user.id))]]), h('details', { class: 'disclosure' }, h('summary', null, 'Change your password'), own())));
}

/** In how many places somebody is signed in, and since when in the latest. */
function signedIn(one) {
  if (!one?.sessions) return h('span', { class: 'muted' }, 'nowhere');
  return h('span', null, count(one.sessions, 'place'), h('span', { class: 'muted small' }, ', latest ', time(one.lastSignIn)));
}

/** The other owners: each keeps apps, Windows packages and a team of its own. */
function owners(list, ctx) {
  return h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Owners')), table({
    caption: 'Owners', keyOf: (row) => row.id, rows: list,
    columns: [
      { label: 'Name', head: true, cell: (row) => h('span', { class: 'wrap' }, row.username) },
      { label: 'Role', cell: (row) => (row.operator ? badge('Owner of this server', 'accent') : badge('Owner')) },
      { label: 'Signed in', tight: true, cell: signedIn },
      { label: 'Since', tight: true, cell: (row) => time(row.created) },
      { label: 'Actions', end: true, tight: true, cell: (row) => row.sessions > 0 && h('div', { class: 'actions' }, button(`Sign ${row.username} out`, { look: 'icon', icon: 'exit', onclick: () => signOutAll(row, ctx) })) },
    ],
  }));
}

async function signOutAll(one, ctx) {
  const me = one.id === state.user.id;
  const done = await confirm({
    title: me ? 'Sign out everywhere?' : `Sign ${one.username} out?`, verb: me ? 'Sign out everywhere' : 'Sign out', danger: true, busy: 'Signing out…',
    text: [`${count(one.sessions, 'session')} ${one.sessions === 1 ? 'ends' : 'end'} at once${me ? ', this one too' : ''}.`, me ? 'Keys go on working.' : 'The password stays as it is: whoever knows it can sign in again. Set another one to prevent that.'],
    work: () => api.post(`/ui/api/people/${one.id}/sign-out`, {}),
  });
  if (!done) return;
  if (me) {
    const { signOut } = await import('../main.js');
    await signOut();
    return;
  }
  announce(`${one.username} is signed out`);
  ctx.refresh();
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
  const lists = Object.fromEntries(GROUPS.map(([key, label]) => [key, allowed(key, label, rights, things[key])]));
  return h('fieldset', { class: 'fields' }, h('legend', null, 'What they may do'),
    h('p', { class: 'hint muted small' }, 'Rights count for the entries chosen in the last column. What they create themselves is added to them.'),
    matrix({ caption: 'What they may do', corner: 'With', rows: GROUPS.map(([key, label]) => [key, label]), columns: VERBS, value, onchange: set, moreLabel: 'Which ones', more: (key) => lists[key].opener }),
    GROUPS.map(([key]) => lists[key].list));
}

/** The list of things of one kind a person sees, and the button in the matrix that tells how many and shows it. */
function allowed(key, label, rights, entries) {
  const id = uid('allowed');
  const opener = h('button', { type: 'button', class: 'button button-small', 'aria-expanded': 'false', 'aria-controls': id, onclick: () => {
    list.hidden = !list.hidden;
    opener.setAttribute('aria-expanded', String(!list.hidden));
    if (!list.hidden) list.querySelector('input')?.focus();
  } });
  const say = () => {
    const chosen = rights[key].allowed.filter((one) => entries.some((entry) => entry.id === one)).length;
    replace(opener, h('span', { class: 'sr' }, `${label}: `), entries.length === 0 ? 'none exist yet' : `${chosen} of ${entries.length}`);
    opener.disabled = entries.length === 0;
  };
  const boxes = entries.map((one) => h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: rights[key].allowed.includes(one.id), onchange: (event) => {
    rights[key].allowed = rights[key].allowed.filter((other) => other !== one.id);
    if (event.target.checked) rights[key].allowed.push(one.id);
    say();
  } }), h('span', { class: 'wrap' }, one.name)));
  const every = (on) => {
    rights[key].allowed = on ? entries.map((one) => one.id) : [];
    for (const box of list.querySelectorAll('input')) box.checked = on;
    say();
  };
  const list = h('fieldset', { class: 'fields', id, hidden: key !== 'apps' || entries.length === 0 }, h('legend', null, `${label} they see`), entries.length > 6 && h('div', { class: 'actions' }, button('All', { look: 'small', onclick: () => every(true) }), button('None', { look: 'small', onclick: () => every(false) })), h('div', { class: 'picks' }, boxes));
  opener.setAttribute('aria-expanded', String(!list.hidden));
  say();
  return { opener, list };
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
