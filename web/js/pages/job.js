// One job as it stands: progress, log, outcome, calling it off.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { number } from '../format.js';
import { card, facts, pageHead } from '../parts/page.js';
import { button } from '../parts/button.js';
import { jobState } from '../parts/badge.js';
import { time } from '../parts/digest.js';
import { progress } from '../parts/progress.js';
import { confirm } from '../parts/dialog.js';
import { announce } from '../parts/toast.js';
import { jobName as name } from '../parts/jobname.js';
import { took } from './jobs.js';

export const title = 'Job';

export async function render(ctx, { id }) {
  const path = `/ui/api/jobs/${encodeURIComponent(id)}`;
  let job = await api.get(path, { signal: ctx.signal });
  ctx.crumbs([['Jobs', '#/jobs'], [name(job)]]);
  ctx.title(name(job));
  const state = h('span');
  const bar = progress(name(job));
  const rows = h('div');
  const log = h('pre', { class: 'log', tabindex: '0', role: 'region', 'aria-label': 'Log' });
  const logCard = card('Log', {}, log);
  const stop = button('Call off', { look: 'danger', icon: 'x', onclick: async () => {
    const done = await confirm({ title: `Call off: ${name(job)}?`, text: 'What it has done so far is dropped; what was there before stays as it is.', verb: 'Call it off', danger: true, work: () => api.post(`${path}/cancel`, {}) });
    if (done) {
      announce('Called off');
      await draw();
    }
  } });
  function show() {
    const open = job.state === 'queued' || job.state === 'running';
    replace(state, jobState(job.state));
    bar.hidden = job.state !== 'running';
    bar.at(job.progress.done, job.progress.total, job.progress.stage, job.progress.total ? `${number(job.progress.done)} of ${number(job.progress.total)}` : '');
    stop.hidden = !open || !(ctx.user.operator || job.by === `user:${ctx.user.username}`);
    replace(rows, facts([['Asked for', [time(job.created), ` by ${job.by}`]], ['Begun', job.started && time(job.started)], ['Ended', job.ended && time(job.ended)], ['Took', took(job)], job.tries > 1 && ['Tries', number(job.tries)], ['Outcome', job.outcome]]));
    logCard.hidden = job.log.length === 0;
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.textContent = job.log.join('\n');
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  async function draw() {
    job = await api.get(path, { signal: ctx.signal });
    show();
  }
  show();
  ctx.every(1000, () => (job.state === 'queued' || job.state === 'running' ? draw() : null));
  return h('div', { class: 'page' }, pageHead({ title: name(job), badges: state, actions: stop }), card(null, {}, bar, rows), logCard);
}
