// What runs now, and what ran.
import { h, keyed, replace } from '../dom.js';
import { api } from '../api.js';
import { duration, instant, number } from '../format.js';
import { keepQuery, link } from '../router.js';
import { card, pageHead } from '../parts/page.js';
import { jobState } from '../parts/badge.js';
import { time } from '../parts/digest.js';
import { progress } from '../parts/progress.js';
import { table } from '../parts/table.js';
import { empty, nothingFits } from '../parts/empty.js';
import { field } from '../parts/field.js';
import { KINDS, jobName as name } from '../parts/jobname.js';

export const title = 'Jobs';

export function took(job) {
  if (!job.started) return '';
  return duration(((job.ended ? instant(job.ended) : Date.now()) - instant(job.started)) / 1000);
}

export async function render(ctx) {
  let kind = ctx.query.get('kind') ?? '';
  const running = h('div', { class: 'stack' });
  const history = table({
    caption: 'Jobs, the newest first', keyOf: (row) => row.id,
    columns: [
      { label: 'Job', head: true, cell: (row) => h('a', { href: link('/jobs/:id', { id: row.id }) }, name(row)) },
      { label: 'State', cell: (row) => jobState(row.state) },
      { label: 'Outcome', cell: (row) => row.outcome ?? row.progress.stage },
      { label: 'Took', end: true, tight: true, cell: took },
      { label: 'By', cell: (row) => row.by },
      { label: 'Asked for', tight: true, cell: (row) => time(row.created) },
    ],
    load: ({ cursor }) => api.get('/ui/api/jobs', { query: { kind, cursor }, signal: ctx.signal }),
    empty: () => (kind ? nothingFits(`No job of the kind “${KINDS[kind] ?? kind}”`, () => choose('')) : empty({ icon: 'activity', title: 'Nothing has run yet', text: 'Syncs, publications and checks show up here with their progress.' })),
  });
  const pick = field({ label: 'Kind', name: 'kind', type: 'select', value: kind, options: [['', 'All kinds'], ...Object.entries(KINDS)], onchange: (event) => choose(event.target.value) });
  function choose(value) {
    kind = value;
    pick.value = value;
    keepQuery({ kind });
    history.reload();
  }
  let open = -1;
  const draw = async () => {
    const { rows } = await api.get('/ui/api/jobs', { query: { open: 1 }, signal: ctx.signal });
    if (rows.length !== open && open >= 0) history.reload();
    open = rows.length;
    section.hidden = rows.length === 0;
    keyed(running, rows, (job) => job.id, (job) => {
      const bar = progress(name(job));
      const node = h('div', null, h('div', { class: 'row spread' }, h('a', { href: link('/jobs/:id', { id: job.id }) }, name(job)), h('span', { class: 'state' }, jobState(job.state))), bar);
      node.update = (now) => {
        replace(node.querySelector('.state'), jobState(now.state));
        bar.hidden = now.state !== 'running';
        bar.at(now.progress.done, now.progress.total, now.progress.stage, now.progress.total ? `${number(now.progress.done)} of ${number(now.progress.total)}` : '');
      };
      node.update(job);
      return node;
    }, (node, job) => node.update(job));
  };
  const section = card('Running', { class: 'running' }, running);
  await draw();
  ctx.every(1000, draw);
  return h('div', { class: 'page' }, pageHead({ title, lead: 'Work that outlives a request: it is tried again when it fails, and goes on after a restart.' }), section, pick, h('section', { class: 'card card-flush' }, history));
}
