// One app: its releases as a timeline, its files, the devices that ask, how to connect a program, and its settings.
import { h, replace } from '../dom.js';
import { allOf, api } from '../api.js';
import { count, percent } from '../format.js';
import { go, link } from '../router.js';
import { base } from '../state.js';
import { badge } from '../parts/badge.js';
import { button, busy } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { digest, size, time } from '../parts/digest.js';
import { empty, nothingFits } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { mark } from '../parts/appmark.js';
import { newRelease } from '../parts/new-release.js';
import { notice } from '../parts/notice.js';
import { card, facts, pageHead } from '../parts/page.js';
import { snippets } from '../parts/snippet.js';
import { table } from '../parts/table.js';
import { tabs } from '../parts/tabs.js';
import { telemetry } from '../parts/telemetry.js';
import { timeline } from '../parts/timeline.js';
import { announce } from '../parts/toast.js';
import { appNamed, axes, local, may, multipart, releases } from '../data/apps.js';
import { appUpload, electronBuilder, feeds, updateCheck } from '../snippets.js';

export const title = (params) => params.app;

export async function render(ctx, { app: name }) {
  const [app, lists, seen] = await allOf([appNamed(name, ctx.signal), axes(ctx.signal), api.get('/telemetry', { query: { range: 'month', apps: name }, signal: ctx.signal })]);
  const { user } = ctx;
  const add = async () => {
    const address = await newRelease({ app: name, axes: lists });
    if (address) go(address);
  };
  const mayUpload = may(user, 'apps', 'upload', app.ID);
  const settings = may(user, 'apps', 'edit', app.ID) || may(user, 'apps', 'delete', app.ID);
  return h('div', { class: 'page' },
    pageHead({
      title: name, lead: app.Description, before: mark(name, local(app.Logo), 'large'), badges: app.Private && badge('Private', 'info', { title: 'Downloads need a login' }),
      actions: mayUpload && button('New release', { look: 'primary', icon: 'plus', onclick: add }),
    }),
    tabs({ label: name, chosen: ctx.tab('releases'), onchange: (tab) => history.replaceState(null, '', link('/apps/:app', { app: name }, { tab: tab === 'releases' ? '' : tab })), items: [
      { id: 'releases', label: 'Releases', render: () => timelineOf(name, lists, seen, mayUpload && add, ctx) },
      { id: 'artifacts', label: 'Files', render: () => files(name, ctx) },
      { id: 'telemetry', label: 'Devices', render: () => telemetry(name, lists, ctx) },
      { id: 'connect', label: 'Connect a program', render: () => connect(name, lists, user) },
      ...(settings ? [{ id: 'settings', label: 'Settings', render: () => settingsOf(app, ctx) }] : []),
    ] }));
}

async function timelineOf(name, lists, seen, add, ctx) {
  const using = new Map(seen.versions.usage.map((one) => [one.version, one.client_count]));
  const all = seen.summary.unique_clients;
  let channel = '';
  const box = h('div', { class: 'stack' });
  const chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'Channel' });
  const choose = async (next) => {
    channel = next;
    mark_();
    await fill();
  };
  const mark_ = () => replace(chips, lists.channel.length > 1 && ['', ...lists.channel.map((one) => one.name)].map((one) => h('button', { type: 'button', class: 'chip', 'aria-pressed': String(channel === one), onclick: () => choose(one) }, one || 'All channels')));
  const fill = async (page = 1, before = []) => {
    const wanted = channel;
    const found = await releases(name, { page, channel }, ctx.signal);
    if (wanted !== channel) return;
    const rows = before.concat(found.rows);
    if (rows.length === 0) {
      replace(box, channel ? nothingFits(`No release in ${channel}`, () => choose('')) : empty({
        icon: 'upload', title: 'No release yet', text: add ? 'Drop the builds of all platforms at once. They stay a draft until you publish them.' : 'Nothing has been uploaded for this app.',
        action: add && button('New release', { look: 'primary', icon: 'plus', onclick: add }),
      }));
      return;
    }
    const more = found.next && button('Show more', { onclick: () => busy(more, 'Loading…', () => fill(found.next, rows)) });
    replace(box, timeline(rows.map((row) => event(name, row, using, all)), 'Releases, newest first'), more && h('div', null, more));
  };
  mark_();
  await fill();
  return h('div', { class: 'card' }, chips.firstChild && chips, box);
}

function event(name, row, using, all) {
  const share = using.get(row.Version) ?? 0;
  const kinds = [...new Set(row.Artifacts.map((one) => [one.Platform, one.Arch].filter(Boolean).join(' ') || one.Package || 'file'))];
  const address = link('/apps/:app/:channel/:version', { app: name, channel: row.Channel || '-', version: row.Version });
  return {
    tone: row.Critical ? 'bad' : row.Published ? 'full' : 'quiet',
    body: [
      h('div', { class: 'row spread' },
        h('div', { class: 'row' }, h('a', { href: address }, h('strong', null, row.Version)), row.Channel && badge(row.Channel), row.Published ? badge('Published', 'ok') : badge('Draft'), row.Critical && badge('Critical', 'bad'), row.Intermediate && badge('Required step', 'info'), row.RolloutPercent < 100 && badge(`Rollout ${row.RolloutPercent} %`, 'warn')),
        h('span', { class: 'muted small' }, time(row.Updated_at))),
      h('div', { class: 'row muted small' }, h('span', null, row.Artifacts.length ? `${count(row.Artifacts.length, 'file')}: ${kinds.slice(0, 6).join(', ')}${kinds.length > 6 ? ` and ${kinds.length - 6} more` : ''}` : 'No files'), share > 0 && h('span', null, `on ${percent(share, all)} of devices`)),
    ],
  };
}

function files(name, ctx) {
  return h('div', { class: 'card card-flush' }, table({
    caption: `Files of ${name}`, keyOf: (row) => `${row.release.ID} ${row.at}`,
    columns: [
      { label: 'File', head: true, cell: (row) => h('span', { class: 'wrap' }, row.FileName || row.Link.split('/').at(-1)) },
      { label: 'Version', cell: (row) => h('a', { href: link('/apps/:app/:channel/:version', { app: name, channel: row.release.Channel || '-', version: row.release.Version }) }, row.release.Version) },
      { label: 'Channel', cell: (row) => row.release.Channel },
      { label: 'Platform', cell: (row) => [row.Platform, row.Arch].filter(Boolean).join(' · ') },
      { label: 'Size', end: true, tight: true, cell: (row) => size(row.Size) },
      { label: 'SHA-256', cell: (row) => digest(row.SHA256) },
    ],
    load: async ({ cursor }) => {
      const found = await releases(name, { page: cursor ?? 1, limit: 20 }, ctx.signal);
      return { rows: found.rows.flatMap((release) => release.Artifacts.map((one, at) => ({ ...one, at, release }))), next: found.next };
    },
    empty: empty({ icon: 'file', title: 'No file yet', text: 'Every build you upload to a release is listed here.' }),
  }));
}

function connect(name, lists, user) {
  const options = (kind) => lists[kind].map((one) => one.name);
  const pick = (label, kind) => lists[kind].length > 0 && field({ label, name: kind, type: 'select', options: options(kind), value: options(kind)[0], onchange: () => draw() });
  const fields = [pick('Channel', 'channel'), pick('Platform', 'platform'), pick('Architecture', 'arch')].filter(Boolean);
  const box = h('div', { class: 'stack' });
  const draw = () => {
    const ask = { app: name, owner: user.owner, ...Object.fromEntries(fields.map((one) => [one.fieldName, one.value])) };
    const at = base();
    replace(box, snippets([updateCheck(at, ask), electronBuilder(at, ask), ...feeds(at, ask), appUpload(at, ask)], 'app'));
  };
  draw();
  return card('Let a program ask for updates', {}, h('p', { class: 'hint' }, 'A program asks by one address, saying which version it is. Choose a combination, then copy what your framework needs.'), fields.length > 0 && h('div', { class: 'fields-row' }, fields), box,
    !/^https:/i.test(base()) && notice('info', 'These addresses are plain HTTP. Some frameworks take updates by HTTPS only.'));
}

function settingsOf(app, ctx) {
  const mayEdit = may(ctx.user, 'apps', 'edit', app.ID);
  const rename = field({ label: 'Name', name: 'app', required: true, value: app.AppName, disabled: !mayEdit, hint: 'Installed programs ask by this name: after a change those that know the old one get no answer.' });
  const edit = form({
    fields: [rename, field({ label: 'Description', name: 'description', type: 'textarea', value: app.Description, disabled: !mayEdit }), mayEdit && field({ label: 'New logo', name: 'file', type: 'file', accept: 'image/png,image/jpeg,image/gif,image/webp' })],
    submit: 'Save', onsubmit: async ({ app: name, description, file }) => {
      if (name !== app.AppName && !(await confirm({ title: `Rename ${app.AppName}?`, text: `Installed programs that ask for “${app.AppName}” will be told that it is unknown. Links already handed out go on working.`, verb: 'Rename' }))) return;
      await api.post('/app/update', multipart({ id: app.ID, app: name, description }, file ? [file] : []));
      announce('Saved');
      if (name === app.AppName) ctx.refresh();
      else go(link('/apps/:app', { app: name }), { replace: true });
    },
  });
  const away = button('Delete this app', { look: 'danger', icon: 'trash', onclick: async () => {
    const done = await confirm({
      title: `Delete ${app.AppName}?`, text: 'The app and its logo are gone for good. An app that still has releases cannot be deleted: delete those first.', verb: 'Delete app', danger: true, typed: app.AppName, busy: 'Deleting…',
      work: () => api.del('/app/delete', { query: { id: app.ID } }),
    });
    if (!done) return;
    announce(`${app.AppName} deleted`);
    go('#/apps');
  } });
  return [
    card('Name and picture', {}, mayEdit ? edit : notice('info', `You may not change this app. Ask ${ctx.user.owner} if you need to.`), facts([['Downloads', app.Private ? 'Need a login (private)' : 'Open to everybody who has the link']])),
    may(ctx.user, 'apps', 'delete', app.ID) && card('Delete', {}, h('p', { class: 'hint' }, 'Only an app without releases can be deleted.'), h('div', null, away)),
  ].filter(Boolean).reduce((all, one) => { all.append(one); return all; }, h('div', { class: 'stack' }));
}
