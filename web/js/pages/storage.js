// What takes the room, whether the bytes are sound, and how to keep a copy of it all.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { bytes, count, number, percent } from '../format.js';
import { go, link } from '../router.js';
import { card, facts, pageHead } from '../parts/page.js';
import { button, busy, linkButton } from '../parts/button.js';
import { jobState } from '../parts/badge.js';
import { size, time } from '../parts/digest.js';
import { ring } from '../parts/ring.js';
import { barChart } from '../parts/bars.js';
import { notice } from '../parts/notice.js';
import { progress } from '../parts/progress.js';
import { table } from '../parts/table.js';
import { announce } from '../parts/toast.js';
import { empty } from '../parts/empty.js';
import { door } from '../doors.js';

export const title = 'Storage';

export async function render(ctx) {
  let shown = await api.get('/ui/api/storage', { signal: ctx.signal });
  const check = h('div', { class: 'stack' });
  const now = button('Check now', { icon: 'shield', onclick: () => busy(now, 'Starting…', async () => {
    const { id } = await api.post('/ui/api/check', {});
    go(link('/jobs/:id', { id }));
  }).catch((error) => announce(error.message)) });
  const drawCheck = () => {
    const last = shown.check;
    const running = last && (last.state === 'running' || last.state === 'queued');
    now.hidden = Boolean(running);
    replace(check, h('p', { class: 'hint' }, 'Reads every stored byte again and compares it with its SHA-256. It rests as long as it reads, so the server stays quick.'),
      last ? [
        h('div', { class: 'row' }, jobState(last.state), h('a', { href: link('/jobs/:id', { id: last.id }) }, running ? 'See how far it is' : 'See what it found'), !running && last.ended && h('span', { class: 'muted' }, time(last.ended))),
        last.state === 'running' && progress('Check of stored bytes', { done: last.progress.done, total: last.progress.total, left: last.progress.stage, right: last.progress.total ? `${number(last.progress.done)} of ${number(last.progress.total)}` : '' }),
        last.outcome && h('p', null, last.outcome),
        !running && /[1-9]\d* damaged/.test(last.outcome ?? '') && notice('bad', 'Damaged files are never served as good: their downloads break off.', 'Stop the server and run packhouse verify --repair: it moves them to lost+found. Then upload these files again; what it found lists them.'),
      ] : h('p', null, 'No check has run yet. One runs by itself every 30 days.'));
  };
  drawCheck();
  ctx.every(2000, async () => {
    if (shown.check?.state !== 'running' && shown.check?.state !== 'queued') return;
    shown = await api.get('/ui/api/storage', { signal: ctx.signal });
    drawCheck();
  });
  const parts = [...shown.kinds.slice(0, 5).map((one) => ({ label: one.name, value: one.bytes, text: bytes(one.bytes) })), { label: 'free', value: shown.free, text: bytes(shown.free), rest: true }];
  return h('div', { class: 'page' }, pageHead({ title, lead: ['Everything is kept in ', h('code', null, shown.data), '. Figures from ', time(shown.at), '.'] }),
    h('div', { class: 'grid grid-2' },
      card('By kind', {}, ring({ title: 'Room on the disk', middle: percent(shown.stored, shown.stored + shown.free), under: 'of the room', parts }),
        facts([['Stored', [size(shown.stored), ` in ${count(shown.artifacts, 'artifact')}`]], shown.loose.count > 0 && ['Offered nowhere', [size(shown.loose.bytes), ' in ', h('a', { href: '#/catalog?held=none' }, count(shown.loose.count, 'artifact'))]], ['Free', size(shown.free)], ['Kept in reserve', size(shown.reserve)]])),
      card('Check', { actions: now }, check)),
    shown.doors.length > 0 && card('By door', {}, h('p', { class: 'hint' }, 'In bytes. A file offered through two doors is stored once and counts at both.'),
      barChart({ title: 'Bytes by door', unit: 'bytes', rows: shown.doors.map((one) => ({ label: `${door({ kind: one.name }).label}: ${count(one.count, 'artifact')}, ${bytes(one.bytes)}`, value: one.bytes })) })),
    card('Back up', {}, facts([
      ['What', ['Everything is in ', h('code', { class: 'wrap' }, shown.data), ': metadata, files, keys and the hashes of passwords. Keep the copy as safe as the server.']],
      ['How', 'Stop the server, copy that whole directory elsewhere, start the server again. A copy made while it runs may be torn.'],
      ['Restore', 'Put the copy into an empty directory, check it with packhouse verify --data DIRECTORY, and start the server on it.'],
    ])),
    card('Largest artifacts', { flush: true }, table({
      caption: 'Largest artifacts', rows: shown.largest, keyOf: (row) => row.digest,
      columns: [{ label: 'Name', head: true, cell: (row) => h('a', { href: link('/artifact/:digest', { digest: row.digest }) }, row.name) }, { label: 'Size', end: true, tight: true, cell: (row) => size(row.size) }, { label: 'Share', end: true, tight: true, cell: (row) => percent(row.size, shown.stored) }],
      empty: empty({ icon: 'disk', title: 'Nothing is stored yet', action: linkButton('Upload files', '#/upload', { look: 'primary', icon: 'upload' }) }),
    })));
}
