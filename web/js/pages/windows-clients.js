// The machines that install Windows packages: their tokens, when they were last seen, what is hidden from them.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm, secret } from '../parts/dialog.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { check, field, form } from '../parts/field.js';
import { pageHead } from '../parts/page.js';
import { snippet } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { addGroup, at, body, clients, deleteGroup, editGroup, groups, packages } from '../data/winget.js';
import { count } from '../format.js';

export const title = 'Clients';

export async function render(ctx) {
  ctx.crumbs([['Windows packages', '#/windows'], [title]]);
  const [list, hiding] = await Promise.all([clients(ctx.signal), groups(ctx.signal)]);
  const add = () => create(ctx);
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Machines that sign in to install Windows packages, each with a token of its own.', actions: button('New client', { look: 'primary', icon: 'plus', onclick: add }) }),
    h('div', { class: 'card card-flush' }, table({
      caption: 'Clients', keyOf: (row) => row.UID, rows: list,
      columns: [
        { label: 'Name', head: true, cell: (row) => h('span', { class: 'wrap' }, row.NAME) },
        { label: 'State', cell: (row) => (row.ENABLED ? badge('Enabled', 'ok') : badge('Disabled', 'warn')) },
        { label: 'Last seen', tight: true, cell: (row) => (row.LASTSEEN ? time(row.LASTSEEN) : h('span', { class: 'muted' }, 'never')) },
        { label: 'Address', cell: (row) => row.IP },
        hiding.length > 0 && { label: 'Hidden by', cell: (row) => (row.B_GROUPS ? h('span', { class: 'wrap' }, row.B_GROUPS) : null) },
        { label: 'Program', cell: (row) => (row.CLIENT === 1 ? 'Winget-Repo Client' : h('span', { class: 'muted' }, 'winget')) },
        { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' },
          button(`Token of ${row.NAME}`, { look: 'icon', icon: 'key', onclick: () => token(row) }), button(`Edit ${row.NAME}`, { look: 'icon', icon: 'edit', onclick: () => edit(row, ctx) }),
          button(`Log of ${row.NAME}`, { look: 'icon', icon: 'list', onclick: () => log(row.UID, row.NAME) }), button(`Delete ${row.NAME}`, { look: 'icon', icon: 'trash', onclick: () => remove(row, ctx) })) },
      ].filter(Boolean),
      empty: empty({ icon: 'server', title: 'No client yet', text: 'While clients must sign in, only machines listed here can install.', action: button('New client', { look: 'primary', icon: 'plus', onclick: add }) }),
    })),
    hiddenGroups(hiding, list, ctx),
    h('div', null, button('Downloads by machines that did not sign in', { look: 'quiet', icon: 'list', onclick: () => log('EXTERN', 'machines that did not sign in') })));
}

const line = (token_) => snippet({ label: 'In PowerShell on that machine', text: `[Environment]::SetEnvironmentVariable('PACKHOUSE_CLIENT_TOKEN', '${token_}', 'Machine')` });

async function create(ctx) {
  let made = null;
  await drawer({ title: 'New client', body: (close) => form({
    fields: [field({ label: 'Name', name: 'client_name', required: true, maxlength: '64', hint: 'Usually the machine’s name. It is kept in capital letters.' })], submit: 'Create client', busy: 'Creating…', cancel: () => close(),
    onsubmit: async (values) => {
      made = { ...(await api.post(at('add_client'), body(values)).catch((error) => { throw Object.assign(error, { field: 'client_name' }); })), name: values.client_name };
      close();
    },
  }) });
  if (!made) return;
  await secret({ title: `Token of ${made.name.trim().toUpperCase()}`, value: made.auth_token, text: 'The machine sends it with every request. You can look at it again on this page.', more: line(made.auth_token) });
  ctx.refresh();
}

async function token(row) {
  await secret({ title: `Token of ${row.NAME}`, value: row.TOKEN, text: 'Whoever has it installs as this machine.', more: line(row.TOKEN) });
}

async function edit(row, ctx) {
  const [hidden, all, known] = await Promise.all([api.get(at(`get_blacklist/${row.UID}`)), packages(), groups()]);
  const picked = picks(all, hidden.PACKAGES);
  const member = new Set(hidden.GROUPS);
  const done = await drawer({ title: `Edit ${row.NAME}`, body: (close) => form({
    fields: [
      field({ label: 'Name', name: 'client_name', required: true, value: row.NAME, maxlength: '64' }),
      check({ label: 'Enabled', name: 'enabled', checked: Boolean(row.ENABLED), hint: 'Off: its token is refused.' }),
      field({ label: 'Refused addresses', name: 'blocked_ips', value: row.BLOCKED_IPS, hint: 'Addresses, ranges (a - b) or networks (10.0.0.0/8), with commas between, from which this token is not taken.' }),
      known.length > 0 && h('fieldset', { class: 'fields' }, h('legend', null, 'Groups hidden from it'), h('div', { class: 'picks' }, known.map((one) => h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: member.has(one.UID), onchange: (event) => (event.target.checked ? member.add(one.UID) : member.delete(one.UID)) }), h('span', { class: 'wrap' }, one.NAME, h('span', { class: 'muted' }, ` (${count(one.PACKAGES.length, 'package')})`)))))),
      h('fieldset', { class: 'fields' }, h('legend', null, 'Packages hidden from it'), picked.node),
    ],
    submit: 'Save', cancel: () => close(),
    onsubmit: async (values) => {
      await api.patch(at(`edit_client/${row.UID}`), body(values));
      await api.put(at(`edit_blacklist/${row.UID}`), body({ packages: picked.ids(), groups: known.filter((one) => member.has(one.UID)).map((one) => one.UID) }));
      close(true);
    },
  }) });
  if (!done) return;
  announce('Saved');
  ctx.refresh();
}

async function log(uid, name) {
  await drawer({ title: `Downloads by ${name}`, wide: true, body: async () => {
    const box = h('div', { class: 'stack' });
    const fill = async () => {
      const lines = await api.get(at(`get_client_logs/${uid}`));
      replace(box, table({ caption: `Downloads by ${name}`, keyOf: (row) => `${row.TIMESTAMP} ${row.LOG_MESSAGE}`, rows: lines.slice(0, 500), columns: [{ label: 'What', head: true, cell: (row) => h('span', { class: 'wrap' }, row.LOG_MESSAGE) }, { label: 'When', tight: true, cell: (row) => time(row.TIMESTAMP) }], empty: empty({ icon: 'list', level: 'h3', title: 'Nothing yet', text: 'A line is written for each installer that is fetched.' }) }),
        lines.length > 0 && button('Clear the log', { look: 'danger', icon: 'trash', onclick: async () => { if (await confirm({ title: 'Clear this log?', text: 'The lines are gone for good.', verb: 'Clear', danger: true, work: () => api.del(at(`clear_client_logs/${uid}`)) })) await fill(); } }));
    };
    await fill();
    return box;
  } });
}

async function remove(row, ctx) {
  const done = await confirm({ title: `Delete ${row.NAME}?`, text: 'Its token stops working at once; its log goes too.', verb: 'Delete', danger: true, busy: 'Deleting…', work: () => api.del(at(`delete_client/${row.UID}/${row.TOKEN}`)) });
  if (!done) return;
  announce(`${row.NAME} deleted`);
  ctx.refresh();
}

/** Boxes for packages; ids that name no package here are kept as they are. */
function picks(all, ids) {
  const chosen = new Set(ids.map((one) => one.toLowerCase()));
  const key = (one) => one.PACKAGE_ID.toLowerCase();
  const node = all.length
    ? h('div', { class: 'picks' }, all.map((one) => h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: chosen.has(key(one)), onchange: (event) => (event.target.checked ? chosen.add(key(one)) : chosen.delete(key(one))) }), h('span', { class: 'wrap' }, one.PACKAGE_NAME))))
    : h('p', { class: 'muted small' }, 'There is no package yet.');
  return { node, ids: () => [...ids.filter((id) => !all.some((one) => key(one) === id.toLowerCase())), ...all.filter((one) => chosen.has(key(one))).map((one) => one.PACKAGE_ID)] };
}

/** Packages hidden together, to be given to several clients at once. */
function hiddenGroups(list, machines, ctx) {
  const add = () => editHidden(null, ctx);
  // The dialect lists a client's groups by their names.
  const users = (row) => machines.filter((one) => String(one.B_GROUPS ?? '').split(', ').includes(row.NAME)).length;
  return h('section', { class: 'card card-flush' },
    h('div', { class: 'card-head' }, h('h2', null, 'Groups of hidden packages'), list.length > 0 && button('New group', { look: 'small', icon: 'plus', onclick: add })),
    table({
      caption: 'Groups of hidden packages', keyOf: (row) => row.UID, rows: list,
      columns: [
        { label: 'Name', head: true, cell: (row) => h('span', { class: 'wrap' }, row.NAME) },
        { label: 'Packages', cell: (row) => h('span', { class: 'small wrap' }, row.PACKAGES.length > 4 ? `${row.PACKAGES.slice(0, 4).join(', ')} and ${row.PACKAGES.length - 4} more` : row.PACKAGES.join(', ') || 'none') },
        { label: 'Clients', end: true, tight: true, cell: users },
        { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' }, button(`Edit ${row.NAME}`, { look: 'icon', icon: 'edit', onclick: () => editHidden(row, ctx) }), button(`Delete ${row.NAME}`, { look: 'icon', icon: 'trash', onclick: () => removeHidden(row, users(row), ctx) })) },
      ],
      empty: empty({ icon: 'eye-off', level: 'h3', title: 'No group yet', text: 'A group hides several packages at once from the clients you give it to, for example everything but the kiosk’s own program.', action: button('New group', { icon: 'plus', onclick: add }) }),
    }));
}

async function editHidden(row, ctx) {
  const picked = picks(await packages(), row?.PACKAGES ?? []);
  const done = await drawer({ title: row ? `Edit ${row.NAME}` : 'New group of hidden packages', body: (close) => form({
    fields: [field({ label: 'Name', name: 'group_name', required: true, value: row?.NAME ?? '', maxlength: '64' }), h('fieldset', { class: 'fields' }, h('legend', null, 'Packages it hides'), picked.node)],
    submit: row ? 'Save' : 'Create group', cancel: () => close(),
    onsubmit: async ({ group_name: name }) => {
      // An empty list is sent as one empty value: left out it would stay as it was.
      const ids = picked.ids();
      const values = { group_name: name.trim(), packages: ids.length ? ids : '' };
      await (row ? editGroup(row.UID, values) : addGroup(values));
      close(name.trim());
    },
  }) });
  if (!done) return;
  announce(row ? `${done} saved` : `${done} created. Give it to clients by editing them.`);
  ctx.refresh();
}

async function removeHidden(row, users, ctx) {
  const done = await confirm({ title: `Delete ${row.NAME}?`, text: users ? `${count(users, 'client')} will see its packages again.` : 'No client has it.', verb: 'Delete', danger: true, busy: 'Deleting…', work: () => deleteGroup(row.UID) });
  if (!done) return;
  announce(`${row.NAME} deleted`);
  ctx.refresh();
}
