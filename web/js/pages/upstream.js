// One upstream: how its last sync went, what it holds, and a repository made from it.
import { h, replace } from '../dom.js';
import { allOf } from '../api.js';
import { bytes, count, duration, instant, percent } from '../format.js';
import { go, link } from '../router.js';
import { badge, jobState } from '../parts/badge.js';
import { button, busy } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { empty } from '../parts/empty.js';
import { check, field, form } from '../parts/field.js';
import { notice } from '../parts/notice.js';
import { packageTable } from '../parts/packages.js';
import { card, facts, pageHead } from '../parts/page.js';
import { progress } from '../parts/progress.js';
import { tabs } from '../parts/tabs.js';
import { announce } from '../parts/toast.js';
import { upstreamFields, upstreamValues } from '../parts/upstreamfields.js';
import { cancelSync, changeUpstream, copyInto, createRepo, deleteUpstream, lastSync, nameRule, packagesOf, upstreamNamed } from '../data/repos.js';

export const title = (params) => params.name;
const STATUS = { new: ['Never synced', ''], syncing: ['Syncing', 'accent'], ok: ['Up to date', 'ok'], failed: ['Failed', 'bad'] };
const PHASES = [['metadata', 'Read the index'], ['packages', 'Fetch packages'], ['commit', 'Take over']];

export async function render(ctx, { name }) {
  let [one, run] = await allOf([upstreamNamed(name, ctx.signal), lastSync(name, ctx.signal)]);
  const running = () => one.status === 'syncing' || Boolean(run && ['queued', 'running'].includes(run.state));
  const badges = h('div', { class: 'row' });
  const box = h('div', { class: 'stack', 'aria-live': 'polite' });
  const sync = button('Sync now', { look: 'primary', icon: 'sync' });
  const stop = button('Stop the sync', { icon: 'x', onclick: () => busy(stop, 'Stopping…', async () => { await cancelSync(name); await look(); }) });
  sync.addEventListener('click', () => busy(sync, 'Starting…', async () => {
    try {
      await changeUpstream(name, {});
      await look();
    } catch (error) {
      announce(error.message);
    }
  }));
  const draw = () => {
    replace(badges, badge(one.type, 'accent', { plain: true }), badge(...(STATUS[one.status] ?? [one.status, ''])), one.verified && badge('Signatures checked', 'ok'), one.policy === 'on_demand' && badge('Fetched at first use', 'info'), h('span', { class: 'muted small' }, count(one.packages, 'package'), one.absent > 0 && `, ${one.absent} of them not fetched yet`, ', synced ', time(one.synced_at)));
    replace(box, one.status === 'failed' && notice('bad', 'The last sync failed. What was here before is still here, and repositories go on serving it.', h('p', { class: 'wrap' }, one.error)), run && runOf(run));
    sync.hidden = running();
    stop.hidden = !running();
  };
  const look = async () => {
    const before = running();
    // One after the other: what an ended sync has made of the upstream is seen only after its end.
    run = await lastSync(name, ctx.signal);
    one = await upstreamNamed(name, ctx.signal);
    draw();
    if (before && !running()) {
      announce(run.state === 'done' ? `${name}: synced` : `${name}: ${run.state}`);
      list.refresh('contents');
    }
  };
  draw();
  ctx.every(1000, () => (running() ? look() : undefined));
  const list = tabs({ label: name, items: [
    { id: 'runs', label: 'Last sync', render: () => box },
    { id: 'contents', label: 'Contents', render: async () => packageTable({ caption: `Packages of ${name}`, packages: await packagesOf('upstream', name, ctx.signal), empty: empty({ icon: 'globe', title: 'Nothing here yet', text: 'Packages appear once a sync has ended well.' }) }) },
    { id: 'settings', label: 'Settings', render: () => settings(one, ctx) },
  ] });
  return h('div', { class: 'page' },
    pageHead({ title: name, lead: one.path, badges, actions: [button('Make a repository from it', { icon: 'layers', onclick: () => toRepo(one) }), stop, sync] }), list);
}

function runOf(run) {
  const at = PHASES.findIndex(([phase]) => phase === run.phase);
  const live = ['queued', 'running'].includes(run.state);
  const bar = progress('Sync', { done: run.bytes_done, total: run.bytes_total, left: `${run.files_done} of ${count(run.files_total, 'file')}`, right: run.bytes_total > 0 ? `${bytes(run.bytes_done)} of ${bytes(run.bytes_total)} (${percent(run.bytes_done, run.bytes_total)})` : '' });
  const took = (instant(run.finished_at) - instant(run.started_at)) / 1000;
  return card('', {}, h('div', { class: 'row spread' }, h('div', { class: 'row' }, jobState(run.state), run.not_modified && badge('Nothing new upstream', 'info')), h('ol', { class: 'row small steps' }, PHASES.map(([, words], index) => h('li', { class: index === at && live ? '' : 'muted', 'aria-current': index === at && live ? 'step' : null }, `${index + 1}. ${words}`)))),
    live && bar,
    facts([
      ['Began', time(run.started_at)], ['Took', Number.isFinite(took) ? duration(took) : null], ['Files', `${run.files_done} of ${run.files_total}`], ['Fetched', `${count(run.downloaded_files, 'file')}, ${bytes(run.downloaded_bytes)}`], ['Here already', count(run.reused_files, 'file')], ['Left at the source', run.left_files > 0 && count(run.left_files, 'file')],
      ['Error', run.error && h('span', { class: 'wrap' }, run.error)],
    ]),
    run.warnings?.length > 0 && h('details', { class: 'disclosure' }, h('summary', null, count(run.warnings.length, 'warning')), h('ul', { class: 'lines small' }, run.warnings.slice(0, 200).map((words) => h('li', { class: 'wrap' }, words)))));
}

function settings(one, ctx) {
  const away = button('Delete this upstream', { look: 'danger', icon: 'trash', onclick: async () => {
    const done = await confirm({ title: `Delete ${one.name}?`, text: `A running sync is stopped. Repositories made from it keep ${one.absent > 0 ? `what was fetched; ${count(one.absent, 'package')} never fetched can no longer come from it` : 'their packages'}.`, verb: 'Delete upstream', danger: true, busy: 'Deleting…', work: () => deleteUpstream(one.name) });
    if (!done) return;
    announce(`${one.name} deleted`);
    go('#/repositories');
  } });
  return h('div', { class: 'stack' },
    card('Where it comes from', {}, form({ fields: [upstreamFields(one)], submit: 'Save and sync', busy: 'Saving…', onsubmit: async (values) => { await changeUpstream(one.name, upstreamValues(values)); announce('Saved; a sync has begun'); ctx.refresh(); } })),
    card('Delete', {}, h('div', null, away)));
}

async function toRepo(one) {
  if (one.status === 'new' || !one.synced_at) return announce('It has not ended a sync yet. Sync it first.');
  return drawer({ title: `A repository from ${one.name}`, body: (close) => form({
    fields: [h('p', null, `It becomes a copy of the ${count(one.packages, 'package')} that ${one.name} holds now, signed by this server.`), field({ label: 'Name', name: 'name', required: true, value: one.name, validate: nameRule }), check({ label: 'Follow it', name: 'follow', hint: 'Each later sync that brings something new is published too.' })],
    submit: 'Create repository', busy: 'Publishing…', cancel: () => close(),
    onsubmit: async ({ name, follow }) => {
      await createRepo({ name: name.trim(), type: one.type, ...(follow ? { follow: { name: one.name, type: 'upstream' } } : {}) }).catch((error) => { throw error.status === 409 ? Object.assign(error, { field: 'name' }) : error; });
      await copyInto(name.trim(), { name: one.name, type: 'upstream' });
      announce(`${name.trim()} is published`);
      close();
      go(link('/repositories/:name', { name: name.trim() }, { tab: 'setup' }));
    },
  }) });
}
