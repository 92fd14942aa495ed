// Files and where they should go: a row a file, then the doors that fit, then progress.
import { h, icon, keyed, replace } from '../dom.js';
import { api } from '../api.js';
import { bytes, count, duration, percent } from '../format.js';
import * as uploads from '../upload.js';
import { card, pageHead } from '../parts/page.js';
import { button, linkButton } from '../parts/button.js';
import { kind } from '../parts/badge.js';
import { dropzone } from '../parts/dropzone.js';
import { progress } from '../parts/progress.js';
import { announce } from '../parts/toast.js';

export const title = 'Upload';

export async function render(ctx) {
  const none = () => null;
  const [repos, products, apps, winget] = await Promise.all([
    repositories(ctx).catch(none),
    api.get('/product/list', { signal: ctx.signal, quiet: true }).catch(none),
    api.get('/app/list', { query: { limit: 500 }, signal: ctx.signal, quiet: true }).catch(none),
    api.get(`/cloud/client/api/${encodeURIComponent(ctx.user.tenant)}/test`, { signal: ctx.signal, quiet: true }).then(() => true, () => false),
  ]);
  const available = { repos, products: products ?? [], apps: (apps?.apps ?? []).map((app) => app.AppName ?? app.app_name ?? app.name).filter(Boolean), winget };
  const chosen = card(null, { class: 'chosen' });
  const going = card('Uploads', {});
  const list = h('ul', { class: 'stack' });
  going.append(list);
  let shape = '';
  const draw = () => {
    chosen.hidden = uploads.waiting.length === 0;
    going.hidden = uploads.tasks.length === 0;
    keyed(list, uploads.tasks, (task) => task.id, row, (node, task) => node.update(task));
    const now = uploads.waiting.map((one) => `${one.id}:${one.kind}`).join();
    if (now === shape) return;
    shape = now;
    import('../parts/destination.js').then(({ destination }) => replace(chosen, h('div', { class: 'card-head' }, h('h2', null, count(uploads.waiting.length, 'file')), button('Clear', { look: 'quiet small', onclick: () => [...uploads.waiting].forEach((one) => uploads.drop(one.id)) })),
      h('ul', { class: 'stack stack-tight' }, uploads.waiting.map(file)), uploads.waiting.every((one) => one.kind) && uploads.waiting.length > 0 && destination(available)));
  };
  ctx.signal.addEventListener('abort', uploads.watch(draw), { once: true });
  let finished = uploads.tasks.filter((task) => task.state === 'done').length;
  ctx.signal.addEventListener('abort', uploads.watch(() => {
    const done = uploads.tasks.filter((task) => task.state === 'done').length;
    if (done > finished) announce(`${done} of ${count(uploads.tasks.length, 'file')} uploaded`, { quiet: uploads.busy() });
    finished = done;
  }), { once: true });
  draw();
  return h('div', { class: 'page' }, pageHead({ title, lead: 'Drop files anywhere, say where they should go, and go on with something else: uploads continue while you look around.' }),
    dropzone({ hint: 'Packages, installers, archives, data: every kind is welcome.', onfiles: uploads.take }), chosen, going);
}

async function repositories(ctx) {
  const names = await api.get('/repo', { signal: ctx.signal, quiet: true });
  const all = await Promise.all(Object.keys(names).slice(0, 200).map((name) => api.get(`/repo/${encodeURIComponent(name)}`, { signal: ctx.signal, quiet: true }).catch(() => null)));
  return all.filter(Boolean);
}

function file(one) {
  return h('li', { class: 'with-kind' }, one.kind ? kind(one.kind, 'small') : icon('file'), h('div', { class: 'grow' }, h('div', { dir: 'auto' }, one.file.name), h('div', { class: 'small muted' }, bytes(one.file.size))),
    button(`Remove ${one.file.name}`, { look: 'icon', icon: 'x', onclick: () => uploads.drop(one.id) }));
}

function row(task) {
  const bar = progress(`Upload of ${task.file.name}`);
  const acts = h('div', { class: 'actions' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const words_ = h('div', { class: 'small muted' }, task.words);
  const node = h('li', { class: 'stack stack-tight' }, h('div', { class: 'with-kind' }, kind(task.kind, 'small'), h('div', { class: 'grow' }, h('div', { dir: 'auto' }, task.file.name), words_), acts), bar, problem);
  let shown = '';
  node.update = (now) => {
    const left = now.rate > 0 ? (now.total - now.sent) / now.rate : null;
    const words = { queued: 'Waiting for its turn', paused: 'Paused', failed: 'Not uploaded', done: now.describe && !now.described ? 'Uploaded; not described yet' : 'Done' }[now.state] ?? (now.sent >= now.total ? 'Checking and storing…' : `${bytes(now.sent)} of ${bytes(now.total)}`);
    bar.at(now.sent, now.total || 1, words, now.state === 'sending' && now.rate > 0 && now.sent < now.total ? `${bytes(now.rate)}/s, ${duration(left)} left` : now.state === 'done' ? '' : percent(now.sent, now.total));
    bar.tone(now.state === 'failed' ? 'bad' : '');
    if (shown === `${now.state} ${now.words}`) return;
    const arrived = shown !== '' && now.state === 'done' && now.describe && !now.described;
    shown = `${now.state} ${now.words}`;
    replace(words_, now.words);
    replace(problem, now.state === 'failed' && now.problem);
    replace(acts,
      now.state === 'sending' && now.pausable && button(`Pause ${now.file.name}`, { look: 'icon', icon: 'pause', onclick: () => uploads.pause(now) }),
      now.state === 'paused' && button(`Go on with ${now.file.name}`, { look: 'icon', icon: 'play', onclick: () => uploads.again(now) }),
      now.state === 'failed' && button('Retry', { look: 'small', icon: 'retry', onclick: () => uploads.again(now) }),
      now.state === 'done' && now.describe && !now.described && button('Describe the package…', { look: 'primary small', onclick: () => now.describe(now).catch((error) => announce(error.message)) }),
      now.state === 'done' && now.next && linkButton(...now.next, { look: 'primary small' }),
      now.state === 'done' && now.href && linkButton('Open', typeof now.href === 'function' ? now.href(now) : now.href, { look: 'small' }),
      now.state !== 'done' && button(`Cancel ${now.file.name}`, { look: 'icon', icon: 'x', onclick: () => uploads.cancel(now) }));
    // The bytes are there: what is left to say is asked at once, unless something else is being asked.
    if (arrived && !document.querySelector('dialog[open]')) now.describe(now).catch((error) => announce(error.message));
  };
  node.update(task);
  return node;
}
