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
import { at, body, clients, packages } from '../data/winget.js';

export const title = 'Clients';

export async function render(ctx) {
  ctx.crumbs([['Windows packages', '#/windows'], [title]]);
  const list = await clients(ctx.signal);
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
        { label: 'Program', cell: (row) => (row.CLIENT === 1 ? 'Winget-Repo Client' : h('span', { class: 'muted' }, 'winget')) },
        { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' },
          button(`Token of ${row.NAME}`, { look: 'icon', icon: 'key', onclick: () => token(row) }), button(`Edit ${row.NAME}`, { look: 'icon', icon: 'edit', onclick: () => edit(row, ctx) }),
          button(`Log of ${row.NAME}`, { look: 'icon', icon: 'list', onclick: () => log(row.UID, row.NAME) }), button(`Delete ${row.NAME}`, { look: 'icon', icon: 'trash', onclick: () => remove(row, ctx) })) },
      ],
      empty: empty({ icon: 'server', title: 'No client yet', text: 'While clients must sign in, only machines listed here can install.', action: button('New client', { look: 'primary', icon: 'plus', onclick: add }) }),
    })),
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
  const [hidden, all] = await Promise.all([api.get(at(`get_blacklist/${row.UID}`)), packages()]);
  const chosen = new Set(hidden.PACKAGES.map((one) => one.toLowerCase()));
  const done = await drawer({ title: `Edit ${row.NAME}`, body: (close) => form({
    fields: [
      field({ label: 'Name', name: 'client_name', required: true, value: row.NAME, maxlength: '64' }),
      check({ label: 'Enabled', name: 'enabled', checked: Boolean(row.ENABLED), hint: 'Off: its token is refused.' }),
      field({ label: 'Refused addresses', name: 'blocked_ips', value: row.BLOCKED_IPS, hint: 'Addresses, ranges (a - b) or networks (10.0.0.0/8), with commas between, from which this token is not taken.' }),
      h('fieldset', { class: 'fields' }, h('legend', null, 'Packages hidden from it'), all.length ? h('div', { class: 'picks' }, all.map((one) => h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: chosen.has(one.PACKAGE_ID.toLowerCase()), onchange: (event) => (event.target.checked ? chosen.add(one.PACKAGE_ID.toLowerCase()) : chosen.delete(one.PACKAGE_ID.toLowerCase())) }), h('span', { class: 'wrap' }, one.PACKAGE_NAME)))) : h('p', { class: 'muted small' }, 'There is no package yet.')),
    ],
    submit: 'Save', cancel: () => close(),
    onsubmit: async (values) => {
      await api.patch(at(`edit_client/${row.UID}`), body(values));
      const kept = hidden.PACKAGES.filter((id) => !all.some((one) => one.PACKAGE_ID.toLowerCase() === id.toLowerCase()));
      await api.put(at(`edit_blacklist/${row.UID}`), body({ packages: [...kept, ...all.filter((one) => chosen.has(one.PACKAGE_ID.toLowerCase())).map((one) => one.PACKAGE_ID)], groups: hidden.GROUPS.map((group) => group.UID ?? group) }));
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
