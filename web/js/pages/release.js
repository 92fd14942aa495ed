// One release: its files by platform and architecture, what is new in it, whether clients hear of it, and what a client
// of any version would be told.
import { h, replace } from '../dom.js';
import { address as withQuery, allOf, api } from '../api.js';
import { go, link } from '../router.js';
import { badge } from '../parts/badge.js';
import { button } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { digest, size, time } from '../parts/digest.js';
import { empty } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { markdown } from '../parts/markdown.js';
import { newRelease } from '../parts/new-release.js';
import { card, facts, pageHead } from '../parts/page.js';
import { snippets } from '../parts/snippet.js';
import { toggle } from '../parts/switch.js';
import { table } from '../parts/table.js';
import { tabs } from '../parts/tabs.js';
import { tester } from '../parts/tester.js';
import { announce } from '../parts/toast.js';
import { appNamed, axes, change, local, may, multipart, release } from '../data/apps.js';
import { verify } from '../snippets.js';

export const title = (params) => params.version;

export async function render(ctx, params) {
  const { app: name, channel, version } = params;
  const [app, one, lists] = await allOf([appNamed(name, ctx.signal), release(name, channel, version, ctx.signal), axes(ctx.signal)]);
  ctx.crumbs([['Apps', '#/apps'], [name, link('/apps/:app', { app: name })], [version]]);
  ctx.title(`${name} ${version}`);
  const { user } = ctx;
  const rights = { edit: may(user, 'apps', 'edit', app.ID), remove: may(user, 'apps', 'delete', app.ID), upload: may(user, 'apps', 'upload', app.ID) };
  const badges = h('div', { class: 'row' });
  const say = () => replace(badges, one.Channel && badge(one.Channel), one.Published ? badge('Published', 'ok') : badge('Draft'), one.Critical && badge('Critical', 'bad'), one.Intermediate && badge('Required step', 'info'), one.RolloutPercent < 100 && badge(`Rollout ${one.RolloutPercent} %`, 'warn'), h('span', { class: 'muted small' }, 'changed ', time(one.Updated_at)));
  say();
  const add = async () => {
    if (await newRelease({ app: name, axes: lists, into: one })) ctx.refresh();
  };
  return h('div', { class: 'page' },
    pageHead({ title: `${name} ${version}`, badges, actions: [rights.upload && button('Add files', { icon: 'plus', onclick: add }), rights.remove && button('Delete release', { look: 'danger', icon: 'trash', onclick: () => removeAll(one) })] }),
    h('div', { class: 'aside' },
      h('div', { class: 'stack' }, artifacts(app, one, lists, rights, add, ctx), changelog(one, rights, ctx)),
      h('div', { class: 'stack' }, switches(one, rights, say), tester(one, lists, user))));
}

function switches(one, rights, say) {
  const set = async (values, shown) => {
    await change(one, values);
    Object.assign(one, shown);
    say();
  };
  const disabled = !rights.edit;
  const rollout = field({ label: 'Rollout', name: 'rollout', type: 'number', min: '0', max: '100', value: String(one.RolloutPercent), required: true, disabled, hint: 'Percent of devices that are offered this release. Each device stays in or out.', validate: (text) => /^\d+$/.test(text) && Number(text) <= 100 ? null : 'A whole number from 0 to 100.' });
  return card('Delivery', {},
    toggle({ label: 'Published', checked: one.Published, disabled, undo: `${one.AppName} ${one.Version} is no longer published`, hint: 'Clients hear of it. Switched off, the release before it counts as the newest again, at once.', onchange: (on) => set({ publish: on }, { Published: on }) }),
    toggle({ label: 'Critical', checked: one.Critical, disabled, hint: 'Clients are told not to put this update off.', onchange: (on) => set({ critical: on }, { Critical: on }) }),
    toggle({ label: 'Required step', checked: one.Intermediate, disabled, hint: 'Clients below it must install it before anything newer.', onchange: (on) => set({ intermediate: on }, { Intermediate: on }) }),
    rights.edit ? form({ fields: [rollout], submit: 'Set rollout', look: '', onsubmit: async ({ rollout: percent }) => {
      await set({ rollout: Number(percent) }, { RolloutPercent: Number(percent) });
      announce(`Offered to ${percent} % of devices`);
    } }) : facts([['Rollout', `${one.RolloutPercent} %`]]));
}

function artifacts(app, one, lists, rights, add, ctx) {
  const rows = one.Artifacts.map((file, at) => ({ ...file, at }));
  const actions = (row) => h('div', { class: 'actions' },
    button(`Download ${row.FileName}`, { look: 'icon', icon: 'download', onclick: () => download(app, row) }),
    rights.remove && button(`Remove ${row.FileName}`, { look: 'icon', icon: 'trash', onclick: () => remove(one, row, ctx) }));
  return h('section', { class: 'card card-flush' }, h('div', { class: 'card-head' }, h('h2', null, 'Files')),
    gaps(rows, lists),
    table({
      caption: `Files of ${one.AppName} ${one.Version}`, keyOf: (row) => row.at, rows,
      columns: [
        { label: 'File', head: true, cell: (row) => h('span', { class: 'wrap' }, row.FileName) },
        { label: 'For', cell: (row) => [row.Platform, row.Arch].filter(Boolean).join(' · ') },
        { label: 'Size', end: true, tight: true, cell: (row) => size(row.Size) },
        { label: 'SHA-256', cell: (row) => digest(row.SHA256) },
        { label: 'Actions', end: true, tight: true, cell: actions },
      ],
      empty: empty({ icon: 'file', level: 'h3', title: 'No file in this release', text: 'A release without files is offered to no client.', action: rights.upload && button('Add files', { look: 'primary', icon: 'plus', onclick: add }) }),
    }),
    rows.length > 0 && h('details', { class: 'disclosure padded' }, h('summary', null, 'Check a downloaded file'), tabsOf(rows)));
}

function tabsOf(rows) {
  if (rows.length === 1) return snippets(verify(rows[0].SHA256, rows[0].FileName), 'verify');
  return tabs({ label: 'Files', items: rows.slice(0, 20).map((row) => ({ id: String(row.at), label: row.FileName, render: () => snippets(verify(row.SHA256, row.FileName), 'verify') })) });
}

/** What there is for each platform and architecture; combinations without a file are seen at once. */
function gaps(rows, lists) {
  const archs = lists.arch.map((arch) => arch.name).filter((arch) => rows.some((row) => row.Arch === arch));
  const platforms = lists.platform.map((platform) => platform.name).filter((platform) => rows.some((row) => row.Platform === platform));
  if (platforms.length * archs.length < 2) return null;
  const cell = (platform, arch) => {
    const found = rows.filter((row) => row.Platform === platform && row.Arch === arch);
    return h('td', null, found.length ? found.map((row) => row.Package || 'file').join(' ') : h('span', { class: 'gap' }, '– none'));
  };
  return h('div', { class: 'table-box padded' }, h('table', { class: 'matrix' }, h('caption', { class: 'sr' }, 'Files by platform and architecture'),
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Platform'), archs.map((arch) => h('th', { scope: 'col' }, arch)))),
    h('tbody', null, platforms.map((platform) => h('tr', null, h('th', { scope: 'row' }, platform), archs.map((arch) => cell(platform, arch)))))));
}

async function download(app, row) {
  const path = local(row.Link);
  try {
    // A private app answers a link that is good for a quarter of an hour; the path form asks for the login itself.
    const { pathname, search } = new URL(path, 'http://here.invalid');
    const asked = pathname === '/download' ? pathname + search : withQuery('/download', { key: decodeURIComponent(pathname.replace(/^\/download\//, '')) });
    const target = app.Private ? local((await api.get(asked)).download_url) : path;
    const anchor = h('a', { href: target, download: row.FileName });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  } catch (error) {
    announce(error.message);
  }
}

async function remove(one, row, ctx) {
  const done = await confirm({
    title: `Remove ${row.FileName}?`, text: `Its link stops working, and ${[row.Platform, row.Arch].filter(Boolean).join(' ') || 'clients'} may be left without a file in this release.`, verb: 'Remove file', danger: true, busy: 'Removing…',
    work: () => api.post('/artifact/delete', multipart({ id: one.ID, app_name: one.AppName, version: one.Version, artifacts_to_delete: [String(row.at)] })),
  });
  if (!done) return;
  announce(`${row.FileName} removed`);
  ctx.refresh();
}

async function removeAll(one) {
  const done = await confirm({
    title: `Delete ${one.AppName} ${one.Version}?`, text: [`Its ${one.Artifacts.length} files stop working at once${one.Published ? ', and clients are offered the release before it' : ''}.`, 'Files that another door offers too stay there.'], verb: 'Delete release', danger: true, busy: 'Deleting…',
    work: () => api.del('/apps/delete', { query: { id: one.ID } }),
  });
  if (!done) return;
  announce(`${one.AppName} ${one.Version} deleted`);
  go(link('/apps/:app', { app: one.AppName }));
}

function changelog(one, rights, ctx) {
  const said = one.Changelog[0]?.Changes ?? '';
  const box = h('div', { class: 'stack' });
  const show = () => replace(box, said ? markdown(said) : h('p', { class: 'muted' }, 'Nothing written yet. Clients show this text beside the update.'));
  const edit = () => {
    const preview = h('div', null);
    const text = field({ label: 'Text', name: 'changelog', type: 'textarea', wide: true, rows: 10, value: said, optional: false, hint: 'Markdown. An empty text keeps the one before.', oninput: () => replace(preview, markdown(text.value)) });
    replace(preview, markdown(said));
    replace(box, form({ fields: [text, h('div', { class: 'stack stack-tight' }, h('h3', { class: 'muted small' }, 'As it will look'), preview)], submit: 'Save', cancel: show, onsubmit: async ({ changelog: words }) => {
      await change(one, { changelog: words });
      announce('Saved');
      ctx.refresh();
    } }));
    text.input.focus();
  };
  show();
  return card('What is new', { actions: rights.edit && button(said ? 'Edit' : 'Write', { look: 'small', icon: 'edit', onclick: edit }) }, box);
}
