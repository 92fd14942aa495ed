// The three lists releases are sorted by: channels, platforms with the updaters of each, architectures.
import { h } from '../dom.js';
import { api } from '../api.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { notice } from '../parts/notice.js';
import { card, pageHead } from '../parts/page.js';
import { announce } from '../parts/toast.js';
import { AXES, UPDATERS, axes, may } from '../data/apps.js';

export const title = 'Channels, platforms, architectures';

const WHY = {
  channel: 'How finished a release is: stable, beta, nightly. Clients follow one of them.',
  platform: 'The systems you build for, and which kind of updater asks from there.',
  arch: 'The processors you build for.',
};

export async function render(ctx) {
  ctx.crumbs([['Apps', '#/apps'], [title]]);
  const all = await axes(ctx.signal);
  return h('div', { class: 'page' },
    pageHead({ title, lead: 'Every app here is sorted by these three lists. As soon as a list has an entry, every upload must name one of it.' }),
    h('div', { class: 'grid grid-3' }, AXES.map((axis) => list(axis, all[axis.kind], ctx))));
}

function list(axis, entries, ctx) {
  const { user } = ctx;
  const create = () => edit(axis, null, ctx);
  const add = may(user, axis.rights, 'create') && button(`New ${axis.one}`, { look: 'small', icon: 'plus', onclick: create });
  return card(axis.many, { actions: add }, h('p', { class: 'hint' }, WHY[axis.kind]),
    entries.length === 0
      ? empty({ icon: 'filter', level: 'h3', title: `No ${axis.one} yet`, text: `For example “${axis.example}”. Without any, uploads name none.` })
      : h('ul', { class: 'lines' }, entries.map((entry) => h('li', { class: 'row spread' },
        h('div', { class: 'grow stack stack-tight' }, h('strong', null, entry.name), axis.kind === 'platform' && h('div', { class: 'row' }, entry.updaters.map((one) => badge(`${words(one.type)}${one.default ? ' (default)' : ''}`, one.default ? 'accent' : '', { plain: true })))),
        h('div', { class: 'actions' },
          may(user, axis.rights, 'edit', entry.id) && button(`Edit ${entry.name}`, { look: 'icon', icon: 'edit', onclick: () => edit(axis, entry, ctx) }),
          may(user, axis.rights, 'delete', entry.id) && button(`Delete ${entry.name}`, { look: 'icon', icon: 'trash', onclick: () => remove(axis, entry, ctx) }))))));
}

function words(type) {
  return UPDATERS.find(([key]) => key === type)?.[1] ?? type;
}

async function edit(axis, entry, ctx) {
  const updaters = axis.kind === 'platform' && choice(entry?.updaters);
  const done = await drawer({ title: entry ? `Edit ${entry.name}` : `New ${axis.one}`, body: (close) => form({
    fields: [
      entry && notice('warn', `A new name reaches releases at once, but installed programs still ask for “${entry.name}” and will be told it is unknown.`),
      field({ label: 'Name', name: 'name', required: true, value: entry?.name ?? '', hint: `For example “${axis.example}”. Letters, digits, dots, dashes and underscores.`, validate: (text) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text) ? null : 'Up to 64 letters, digits, dots, dashes and underscores; the first a letter or digit.' }),
      updaters,
    ],
    submit: entry ? 'Save' : `Create ${axis.one}`, cancel: () => close(),
    onsubmit: async ({ name }) => {
      const body = { [axis.kind]: name, ...(updaters ? { updaters: updaters.chosen() } : {}) };
      await api.post(`/${axis.kind}/${entry ? 'update' : 'create'}`, entry ? { id: entry.id, ...body } : body);
      close(name);
    },
  }) });
  if (!done) return;
  announce(entry ? `${done} saved` : `${done} created`);
  ctx.refresh();
}

/** Which updaters a platform answers, and which of them when a client names none. */
function choice(given) {
  const now = new Map((given?.length ? given : [{ type: 'manual', default: true }]).map((one) => [one.type, one.default]));
  const rows = UPDATERS.map(([type, label, why]) => {
    const used = h('input', { type: 'checkbox', checked: now.has(type), 'aria-label': label, onchange: () => settle(used.checked ? null : type) });
    const first = h('input', { type: 'radio', name: 'default-updater', checked: now.get(type) === true, 'aria-label': `${label}: default`, onchange: () => { used.checked = true; } });
    return { type, used, first, node: h('tr', null, h('th', { scope: 'row' }, h('strong', null, label), h('div', { class: 'hint small muted' }, why)), h('td', null, used), h('td', null, first)) };
  });
  function settle(gone) {
    // There is always exactly one default among those used.
    const left = rows.filter((row) => row.used.checked);
    if (left.length === 0) rows[0].used.checked = true;
    const held = rows.find((row) => row.first.checked);
    if (!held || held.type === gone) (rows.find((row) => row.used.checked) ?? rows[0]).first.checked = true;
  }
  const node = h('fieldset', { class: 'fields' }, h('legend', null, 'Updaters'),
    h('p', { class: 'hint small muted' }, 'The default answers clients that name no updater.'),
    h('div', { class: 'table-box' }, h('table', { class: 'matrix' }, h('caption', { class: 'sr' }, 'Updaters of this platform'),
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Kind'), h('th', { scope: 'col' }, 'Used'), h('th', { scope: 'col' }, 'Default'))), h('tbody', null, rows.map((row) => row.node)))));
  node.fields = [];
  node.chosen = () => rows.filter((row) => row.used.checked).map((row) => ({ type: row.type, default: row.first.checked }));
  return node;
}

async function remove(axis, entry, ctx) {
  const done = await confirm({
    title: `Delete ${axis.one} ${entry.name}?`, text: 'Clients that ask for it are told it is unknown. It can only go while no release uses it.',
    verb: 'Delete', danger: true, busy: 'Deleting…', work: () => api.del(`/${axis.kind}/delete`, { query: { id: entry.id } }),
  });
  if (!done) return;
  announce(`${entry.name} deleted`);
  ctx.refresh();
}
