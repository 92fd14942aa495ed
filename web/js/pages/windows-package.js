// One Windows package: its versions with the installers of each, what machines type to install it, and its card.
import { h } from '../dom.js';
import { allOf } from '../api.js';
import { count } from '../format.js';
import { go } from '../router.js';
import { base, state } from '../state.js';
import { markOf } from '../parts/appmark.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { digest } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { addInstaller } from '../parts/new-installer.js';
import { card, facts, pageHead } from '../parts/page.js';
import { snippet } from '../parts/snippet.js';
import { toggle } from '../parts/switch.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { saveArtifact } from '../data/files.js';
import { deletePackage, deleteVersions, editPackage, packageOf, settings, versions } from '../data/winget.js';
import { wayToHttps } from '../parts/https.js';
import { winget } from '../snippets.js';

export const title = (params) => params.id;

export async function render(ctx, { id }) {
  const [one, list, known] = await allOf([packageOf(id, ctx.signal), versions(id, ctx.signal), settings(ctx.signal)]);
  ctx.title(one.PACKAGE_NAME);
  const add = async () => {
    const version = await addInstaller(one.PACKAGE_ID);
    if (!version) return;
    announce(`${version} added`);
    ctx.refresh();
  };
  const remove = async () => {
    const done = await confirm({ title: `Delete ${one.PACKAGE_NAME}?`, text: [`${count(list.length, 'installer')} and the package's card go for good. Machines keep what they have installed but hear of no update.`, 'Files that another door offers too stay there.'], verb: 'Delete package', danger: true, typed: list.length > 1 ? one.PACKAGE_ID : undefined, busy: 'Deleting…', work: () => deletePackage(one.PACKAGE_ID) });
    if (!done) return;
    announce(`${one.PACKAGE_NAME} deleted`);
    go('#/windows');
  };
  const source = { tenant: state.user.owner, auth: known.CLIENT_AUTHENTICATION === '1' };
  return h('div', { class: 'page' },
    pageHead({
      title: one.PACKAGE_NAME, lead: one.PACKAGE_DESCRIPTION, before: markOf(one.PACKAGE_NAME, one.PACKAGE_LOGO, 'large'), badges: [h('code', null, one.PACKAGE_ID), one.PACKAGE_ACTIVE !== '1' && badge('Hidden', 'warn')],
      actions: [button('New installer', { look: 'primary', icon: 'plus', onclick: add }), button('Edit', { icon: 'edit', onclick: () => edit(one, ctx) }), button('Delete', { look: 'danger', icon: 'trash', onclick: remove })],
    }),
    h('div', { class: 'aside' },
      installers(one, list, add, ctx),
      h('div', { class: 'stack' },
        card('Install it', {}, winget(base(), source, one.PACKAGE_ID).reverse().map((line) => snippet(line)), source.auth && h('p', { class: 'hint small' }, 'Machines sign in: each has a token of its own, made on the page ', h('a', { href: '#/windows/clients' }, 'Clients'), '.'), wayToHttps()),
        card('About', {}, facts([['Publisher', one.PACKAGE_PUBLISHER], ['Versions', String(new Set(one.VERSIONS).size)], ['Installers', String(list.length)]]),
          toggle({ label: 'Offered to clients', checked: one.PACKAGE_ACTIVE === '1', undo: `${one.PACKAGE_NAME} is no longer offered`, hint: 'Off: clients neither find nor install it; what is installed stays.', onchange: (on) => editPackage(one.PACKAGE_ID, { package_active: on }) })))));
}

function installers(one, list, add, ctx) {
  const remove = async (rows) => {
    const done = await confirm({ title: rows.length === 1 ? `Delete ${rows[0].VERSION} (${rows[0].ARCHITECTURE})?` : `Delete ${count(rows.length, 'installer')}?`, text: 'Machines can no longer install or upgrade to it.', verb: 'Delete', danger: true, busy: 'Deleting…', work: () => deleteVersions(one.PACKAGE_ID, rows.map((row) => row.UID)) });
    if (!done) return;
    announce('Deleted');
    ctx.refresh();
  };
  return h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Installers')), table({
    caption: `Installers of ${one.PACKAGE_NAME}`, keyOf: (row) => row.UID, rows: list,
    columns: [
      { label: 'Version', head: true, cell: (row) => row.VERSION },
      { label: 'For', cell: (row) => h('div', { class: 'stack stack-tight' }, h('span', { class: 'chips' }, badge(row.ARCHITECTURE, 'accent', { plain: true }), badge(row.INSTALLER_SCOPE), badge(row.INSTALLER_NESTED_TYPE ? `${row.INSTALLER_TYPE} with ${row.INSTALLER_NESTED_TYPE}` : row.INSTALLER_TYPE), row.LOCALE !== 'en-US' && badge(row.LOCALE.replace('_', '-')), row.CHANNEL !== 'stable' && badge(row.CHANNEL, 'info')), code(row)) },
      { label: 'SHA-256', cell: (row) => digest(row.INSTALLER_SHA256) },
      { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' },
        button(`Download ${row.VERSION} ${row.ARCHITECTURE}`, { look: 'icon', icon: 'download', onclick: () => saveArtifact(row.INSTALLER_SHA256, '') }),
        button(`Delete ${row.VERSION} ${row.ARCHITECTURE}`, { look: 'icon', icon: 'trash', onclick: () => remove([row]) })) },
    ],
    pick: (row) => `${row.VERSION} ${row.ARCHITECTURE}`, toolbar: (rows) => button('Delete', { look: 'danger', icon: 'trash', onclick: () => remove(rows) }),
    empty: empty({ icon: 'windows', level: 'h3', title: 'No installer yet', text: 'Clients see a package only once it has an installer.', action: button('New installer', { look: 'primary', icon: 'plus', onclick: add }) }),
  }));
}

/** What Windows knows an installer by. */
function code(row) {
  const said = row.INSTALLER_NESTED_TYPE ? row.NESTED_PACKAGE_INSTALLER_PATHS.map((path) => path.RelativeFilePath).join(', ') : row.PRODUCTCODE || row.PACKAGE_FAMILY_NAME;
  return said && h('span', { class: 'muted small mono wrap' }, said);
}

async function edit(one, ctx) {
  const done = await drawer({ title: `Edit ${one.PACKAGE_ID}`, body: (close) => form({
    fields: [
      field({ label: 'Name', name: 'package_name', required: true, value: one.PACKAGE_NAME }), field({ label: 'Publisher', name: 'package_publisher', required: true, value: one.PACKAGE_PUBLISHER }),
      field({ label: 'Description', name: 'package_description', type: 'textarea', value: one.PACKAGE_DESCRIPTION }), field({ label: 'New logo', name: 'Logo', type: 'file', accept: 'image/png,image/jpeg', hint: 'PNG or JPEG.' }),
    ],
    submit: 'Save', cancel: () => close(),
    onsubmit: async (values) => {
      await editPackage(one.PACKAGE_ID, { ...values, Logo: values.Logo ?? undefined });
      close(true);
    },
  }) });
  if (!done) return;
  announce('Saved');
  ctx.refresh();
}
