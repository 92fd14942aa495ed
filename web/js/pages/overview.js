// How this box is doing, what runs, what came last, and what to do next.
import { append, h, icon, replace } from '../dom.js';
import { api } from '../api.js';
import { bytes, count, instant, number } from '../format.js';
import { link } from '../router.js';
import { card, pageHead } from '../parts/page.js';
import { badge, kind } from '../parts/badge.js';
import { size, time } from '../parts/digest.js';
import { ring } from '../parts/ring.js';
import { progress } from '../parts/progress.js';
import { linkButton } from '../parts/button.js';
import { notice } from '../parts/notice.js';
import { jobName } from '../parts/jobname.js';

export const title = 'Overview';

export async function render(ctx) {
  const [shown, checks, repos] = await Promise.all([
    api.get('/ui/api/overview', { signal: ctx.signal }),
    updateChecks(ctx),
    api.get('/repo', { signal: ctx.signal }).catch(() => null),
  ]);
  if (!shown.operator) return guest(ctx);
  const page = h('div', { class: 'page' }, pageHead({ title, lead: [greeting(ctx.user), Date.now() - instant(shown.at) > 60_000 && [' Figures from ', time(shown.at), '.']] }));
  if (shown.artifacts === 0) {
    page.append(start(repos));
    return page;
  }
  const running = h('div', { class: 'stack' });
  append(page,
    h('div', { class: 'grid grid-tiles' },
      tile('Artifacts', number(shown.artifacts), '#/catalog'),
      tile('Stored', bytes(shown.stored), '#/storage', `${bytes(shown.free)} free`),
      tile('Downloads today', number(shown.downloads.at(-1)?.count ?? 0), '#/catalog'),
      tile('Update checks today', number(checks), '#/apps')),
    attention(shown),
    h('div', { class: 'grid grid-2' },
      h('div', { class: 'stack' }, card('Latest uploads', { actions: linkButton('All', '#/catalog', { look: 'quiet small' }) }, latest(shown.latest)), await week(shown.downloads)),
      h('div', { class: 'stack' }, storage(shown), card('Running', { actions: linkButton('All jobs', '#/jobs', { look: 'quiet small' }) }, running))));
  await work(ctx, running);
  return page;
}

function greeting(user) {
  const hour = new Date().getHours();
  return `Good ${hour < 5 ? 'night' : hour < 12 ? 'morning' : hour < 18 ? 'afternoon' : 'evening'}, ${user.username}.`;
}

function tile(label, figure, href, more) {
  return h('a', { class: 'card tile', href }, h('span', { class: 'label' }, label, more && h('span', { class: 'muted' }, ` · ${more}`)), h('span', { class: 'figure' }, figure));
}

/** Downloads of the last seven days; days are counted in UTC. */
async function week(days) {
  const total = days.reduce((sum, day) => sum + day.count, 0);
  const head = 'Downloads, last 7 days';
  if (total === 0) return card(head, {}, h('p', { class: 'hint muted' }, 'Nothing was downloaded in these days.'));
  const { lineChart } = await import('../parts/chart.js');
  const words = (text) => new Date(`${text}T00:00:00Z`).toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', timeZone: 'UTC' });
  return card(head, {}, lineChart({ title: head, description: `${count(total, 'file')} in all.`, unit: 'downloads', labels: days.map((day) => words(day.day)), series: [{ name: 'Downloads', values: days.map((day) => day.count) }], width: 520 }));
}

/** Update checks of today over all apps. */
async function updateChecks(ctx) {
  try {
    const found = await api.get('/telemetry', { signal: ctx.signal });
    return found?.summary?.total_requests ?? 0;
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    return 0;
  }
}

function attention(shown) {
  const full = shown.stored + shown.free > 0 && shown.free / (shown.stored + shown.free) < 0.15;
  const notes = [
    shown.free <= shown.reserve * 2 && notice('bad', `Only ${bytes(shown.free)} are free. Uploads are refused once ${bytes(shown.reserve)} are left.`, h('a', { href: '#/storage' }, 'See what takes the room')),
    full && shown.free > shown.reserve * 2 && notice('warn', `The disk is more than 85 % full: ${bytes(shown.free)} are left.`, h('a', { href: '#/storage' }, 'See what takes the room')),
    ending(shown.certificateEnds),
    ...shown.failed.map((job) => notice('warn', h('p', null, h('a', { href: link('/jobs/:id', { id: job.id }) }, jobName(job)), ' failed the last time it ran.'), job.outcome)),
  ].filter(Boolean);
  return notes.length > 0 && h('section', { class: 'stack stack-tight' }, h('h2', null, 'Needs attention'), notes);
}

/** A certificate that ends within thirty days, or has ended. */
function ending(text) {
  const days = (instant(text) - Date.now()) / 86_400_000;
  if (!(days < 30)) return null;
  const words = days <= 0 ? 'The certificate for HTTPS has ended: winget, apt and browsers refuse it.' : `The certificate for HTTPS ends in ${count(Math.max(1, Math.floor(days)), 'day')}.`;
  return notice(days <= 0 ? 'bad' : 'warn', words, 'Put a new one into the files the server was started with (--tls-cert and --tls-key): it is taken within seconds, without a restart.');
}

function latest(list) {
  return h('ul', { class: 'stack' }, list.map((one) => h('li', { class: 'with-kind' }, kind(one.kind, 'small'),
    h('div', { class: 'grow' }, h('a', { href: link('/artifact/:digest', { digest: one.digest }) }, one.name), one.version && h('span', { class: 'muted' }, ` ${one.version}`),
      h('div', { class: 'small muted' }, size(one.size), ' · ', time(one.created))))));
}

function storage(shown) {
  const parts = shown.kinds.slice(0, 4).map((one) => ({ label: one.name, value: one.bytes, text: bytes(one.bytes) }));
  const rest = shown.kinds.slice(4).reduce((sum, one) => sum + one.bytes, 0);
  if (rest > 0) parts.push({ label: 'other', value: rest, text: bytes(rest) });
  return card('Storage', { actions: linkButton('Details', '#/storage', { look: 'quiet small' }) },
    ring({ title: 'Stored by kind', middle: bytes(shown.stored).replace(/ .*/, ''), under: `${bytes(shown.stored).split(' ')[1]} stored`, parts }));
}

async function work(ctx, box) {
  const draw = async () => {
    const { rows } = await api.get('/ui/api/jobs', { query: { open: 1 }, signal: ctx.signal });
    if (rows.length === 0) return replace(box, h('p', { class: 'hint muted' }, 'Nothing runs right now.'));
    return replace(box, rows.slice(0, 5).map((job) => h('div', null, h('a', { href: link('/jobs/:id', { id: job.id }) }, jobName(job)), ' ', job.state === 'queued' && badge('Waiting', 'info'),
      job.state === 'running' && progress(jobName(job), { done: job.progress.done, total: job.progress.total, left: job.progress.stage, right: job.progress.total ? `${number(job.progress.done)} of ${number(job.progress.total)}` : number(job.progress.done) }))));
  };
  await draw();
  ctx.every(3000, draw);
}

/** Three next steps instead of empty charts. */
function start(repos) {
  const [waiting] = Object.keys(repos ?? {});
  const step = (picture, head, text, href) => h('a', { class: 'card next', href }, icon(picture), h('h2', null, head), h('p', { class: 'muted' }, text));
  return h('div', { class: 'stack' },
    h('p', null, 'Nothing is stored here yet. Begin with one of these:'),
    h('div', { class: 'grid' },
      step('upload', 'Drop a file', 'Drag a package or an installer anywhere onto this page, and say where it should go.', '#/upload'),
      waiting && step('layers', `Fill ${waiting}`, 'This repository is there and empty. Put packages in, and set up machines to install from it.', link('/repositories/:name', { name: waiting })),
      repos && !waiting && step('layers', 'Make a repository', 'Serve apt, yum or plain files to your machines.', '#/repositories'),
      !repos && step('tag', 'Publish from a build', 'A product keeps one file for each version, uploaded with a key.', '#/products'),
      step('apps', 'Ship app updates', 'Create an app, upload a release, and let installed copies update themselves.', '#/apps')));
}

/** What owners see who are not the owner of the installation. */
function guest(ctx) {
  return h('div', { class: 'page' }, pageHead({ title, lead: greeting(ctx.user) }), start(null));
}
