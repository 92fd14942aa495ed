// Lets artifacts go: from repositories, products, or as an upload kept for its own sake. Bytes that nobody holds any more
// are removed. Holds of apps, Windows packages, RefPacks and upstreams end on their own pages.
//
//   await releaseOne(artifact, holder)      asks, then lets one door go; true when it did
//   await releaseDrawer(rows)               several artifacts, by door
import { h } from '../dom.js';
import { api } from '../api.js';
import { count, words } from '../format.js';
import { door, letGo } from '../doors.js';
import { confirm } from './dialog.js';
import { drawer } from './drawer.js';
import { check, form, group } from './field.js';
import { notice } from './notice.js';
import { announce } from './toast.js';

/** Holds that keep bytes of a repository's past or of a sync for a while, and go by themselves. */
const PASSING = new Set(['repo-index', 'sync-cache']);

export async function releaseOne(artifact, holder) {
  const way = letGo(holder, artifact.digest);
  const others = artifact.holders.filter((one) => one.label !== holder.label && !PASSING.has(one.kind)).length;
  const done = await confirm({
    title: `Let go of ${artifact.name}?`, verb: 'Let go', danger: true, busy: 'Letting go…',
    text: [`It ${way.words}.`.replace(/^It version/, 'Version'), others > 0 ? `${count(others, 'other door')} still ${others === 1 ? 'offers' : 'offer'} this file. It stays until ${others === 1 ? 'that lets' : 'they let'} go.` : 'No other door offers this file: its bytes are removed from the disk.'],
    work: () => way.work(api),
  });
  if (done) announce(`${door(holder).label} ${door(holder).name}`.trim() + ' let go');
  return done;
}

export async function releaseDrawer(rows) {
  const all = await Promise.all(rows.map((row) => api.get(`/ui/api/artifacts/${row.digest}`)));
  // What can be let go of, by door: one line a repository, product or "uploaded by hand".
  const doors = new Map();
  const stuck = new Set();
  for (const artifact of all) {
    for (const holder of artifact.holders) {
      const way = letGo(holder, artifact.digest);
      if (!way) {
        if (!PASSING.has(holder.kind)) stuck.add(door(holder).label);
        continue;
      }
      const name = holder.kind === 'package' ? '' : holder.parts[0];
      const key = JSON.stringify([holder.kind, name]);
      if (!doors.has(key)) doors.set(key, { kind: holder.kind, name, label: `${door(holder).label}${name ? ` ${name}` : ''}`, holds: [] });
      doors.get(key).holds.push({ artifact, way });
    }
  }
  // The hold as an upload comes last: while a repository lists a package it cannot be dropped.
  const order = [...doors.values()].sort((a, b) => (a.kind === 'package') - (b.kind === 'package') || a.label.localeCompare(b.label));
  return drawer({ title: `Let go of ${count(rows.length, 'artifact')}`, body: (close) => {
    const elsewhere = stuck.size > 0 && notice('info', `Some are held by other doors too (${words([...stuck])}). Those holds end on their own pages, and the files stay until then.`);
    if (!order.length) return h('div', { class: 'stack' }, elsewhere || notice('info', 'Nothing holds these any more.'));
    const boxes = order.map((one, index) => check({ label: one.label, name: `door-${index}`, hint: one.kind === 'product' ? `${count(one.holds.length, 'version')} of this product ${one.holds.length === 1 ? 'is' : 'are'} deleted.` : one.kind === 'repo' ? `${count(one.holds.length, 'package')} leave${one.holds.length === 1 ? 's' : ''} it; it is published anew.` : `${count(one.holds.length, 'file')} kept for ${one.holds.length === 1 ? 'its' : 'their'} own sake.` }));
    return form({ fields: [h('p', { class: 'muted' }, 'Files that no door holds any more are removed from the disk. That cannot be undone.'), group('Which doors let go?', ...boxes), elsewhere], submit: 'Let go', busy: 'Letting go…', look: 'danger primary', cancel: () => close(), onsubmit: async (values) => {
      const chosen = order.filter((one, index) => values[`door-${index}`]);
      if (!chosen.length) throw new Error('Choose at least one door.');
      for (const one of chosen) await release(one);
      announce(`${count(rows.length, 'artifact')} let go`);
      close(true);
    } });
  } });
}

/** A repository is changed in one step and published once; the others go one by one. */
async function release(one) {
  if (one.kind === 'repo') return api.patch(`/repo/${encodeURIComponent(one.name)}/packages`, Object.fromEntries(one.holds.map(({ artifact }) => [artifact.digest, false])));
  for (const { artifact, way } of one.holds) {
    try {
      await way.work(api);
    } catch (error) {
      // Gone already: another hold that went took it along.
      if (error.status !== 404) throw Object.assign(error, { message: `${artifact.name}: ${error.message}` });
    }
  }
  return undefined;
}
