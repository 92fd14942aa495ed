// The pinned states of a repository: taken, compared, gone back to, deleted; and how two sets of packages differ.
import { h, replace } from '../dom.js';
import { count, number } from '../format.js';
import { button, linkButton } from './button.js';
import { confirm } from './dialog.js';
import { time } from './digest.js';
import { drawer } from './drawer.js';
import { empty } from './empty.js';
import { field, form } from './field.js';
import { card } from './page.js';
import { table } from './table.js';
import { announce } from './toast.js';
import { copyInto, deleteSnapshot, differences, nameRule, repoNames, snapshotsOf, takeSnapshot, upstreamNames, versionOf } from '../data/repos.js';

const SHOWN = 200;

export async function snapshots(repo, ctx) {
  const rows = Object.entries(await snapshotsOf(repo.name, ctx.signal)).map(([name, one]) => ({ name, ...one }));
  const take = () => takeDrawer(repo, ctx);
  return card('Snapshots', { actions: [button('Compare…', { icon: 'eye', onclick: () => compareDrawer(repo, rows) }), button('Take a snapshot', { look: 'primary', icon: 'plus', onclick: take })] },
    h('p', { class: 'hint' }, 'A snapshot is this repository as it is now, kept for ever at an address of its own. It costs no copies.'),
    table({
      caption: `Snapshots of ${repo.name}`, keyOf: (row) => row.name, rows,
      columns: [
        { label: 'Name', head: true, cell: (row) => h('a', { href: `/repo/${encodeURIComponent(repo.name)}@${encodeURIComponent(row.name)}/`, target: '_blank', rel: 'noopener' }, row.name) },
        { label: 'Taken', tight: true, cell: (row) => time(row.created_at) },
        { label: 'Packages', end: true, cell: (row) => number(row.packages) },
        { label: 'Generation', end: true, cell: (row) => String(row.generation) },
        { label: 'Actions', end: true, tight: true, cell: (row) => h('div', { class: 'actions' },
          button('Compare', { look: 'small', 'aria-label': `Compare with ${row.name}`, onclick: () => differenceDrawer(repo, `snapshot/${repo.name}@${row.name}`, row.name) }),
          button('Roll back', { look: 'small', 'aria-label': `Roll back to ${row.name}`, onclick: () => rollBack(repo, row, ctx) }),
          button(`Delete ${row.name}`, { look: 'icon', icon: 'trash', onclick: () => remove(repo, row, ctx) })) },
      ],
      empty: empty({ icon: 'layers', level: 'h3', title: 'No snapshot yet', text: 'Take one before a larger change: machines can stay on it, and the repository can go back to it.', action: button('Take a snapshot', { icon: 'plus', onclick: take }) }),
    }));
}

async function takeDrawer(repo, ctx) {
  await drawer({ title: `Take a snapshot of ${repo.name}`, body: (close) => form({
    fields: [field({ label: 'Name', name: 'name', required: true, hint: 'Part of its address, for example 2026-06 or before-upgrade.', validate: nameRule })],
    submit: 'Take the snapshot', busy: 'Taking…', cancel: () => close(),
    onsubmit: async ({ name }) => {
      await takeSnapshot(repo.name, name.trim()).catch((error) => { throw error.status === 409 ? Object.assign(error, { field: 'name' }) : error; });
      announce(`${name.trim()} taken`);
      close();
      ctx.refresh();
    },
  }) });
}

async function remove(repo, row, ctx) {
  const done = await confirm({ title: `Delete ${row.name}?`, text: 'Machines that install from this snapshot get errors. The repository itself stays as it is.', verb: 'Delete snapshot', danger: true, busy: 'Deleting…', work: () => deleteSnapshot(repo.name, row.name) });
  if (!done) return;
  announce(`${row.name} deleted`);
  ctx.refresh();
}

async function rollBack(repo, row, ctx) {
  const change = h('div', { class: 'stack' }, h('p', { class: 'muted' }, 'Looking at what would change…'));
  differences(repo.name, `snapshot/${repo.name}@${row.name}`).then((found) => replace(change, lists(found, 'comes back', 'leaves')), (error) => replace(change, h('p', null, error.message)));
  const done = await confirm({ title: `Roll ${repo.name} back to ${row.name}?`, text: 'It becomes what it was then, published as a new generation.', body: change, verb: 'Roll back', busy: 'Publishing…', work: () => copyInto(repo.name, { name: `${repo.name}@${row.name}`, type: 'snapshot' }) });
  if (!done) return;
  announce(`${repo.name} is what it was at ${row.name}`);
  ctx.refresh();
}

async function compareDrawer(repo, rows) {
  const [ups, others] = await Promise.all([upstreamNames(), repoNames()]);
  const options = [...rows.map((row) => [`snapshot/${repo.name}@${row.name}`, `Snapshot ${row.name}`]), ...ups.map((one) => [`upstream/${one}`, `Upstream ${one}`]), ...others.filter((one) => one !== repo.name).map((one) => [`repo/${one}`, `Repository ${one}`])];
  const found = h('div', { class: 'stack', 'aria-live': 'polite' });
  await drawer({ title: `Compare ${repo.name}`, wide: true, body: () => (options.length === 0 ? empty({ icon: 'layers', level: 'h3', title: 'Nothing to compare with', text: 'There is no snapshot, no upstream and no other repository.' }) : h('div', { class: 'stack' }, form({
    fields: [field({ label: 'With', name: 'with', type: 'select', options })],
    submit: 'Compare', busy: 'Comparing…',
    onsubmit: async (values) => replace(found, lists(await differences(repo.name, values.with), 'only there', 'only here')),
  }), found)) });
}

async function differenceDrawer(repo, other, name) {
  const found = await differences(repo.name, other).catch((error) => announce(error.message));
  if (!found) return;
  await drawer({ title: `${repo.name} now, and ${name}`, wide: true, body: (close) => h('div', { class: 'stack' }, lists(found, `only in ${name}`, 'only in it now'), h('div', { class: 'actions' }, linkButton('Open its tree', `/repo/${encodeURIComponent(repo.name)}@${encodeURIComponent(name)}/`, { icon: 'layers', target: '_blank', rel: 'noopener' }), button('Close', { onclick: () => close() }))) });
}

/** A difference in words and lists. */
function lists(found, there, here) {
  const part = (entries, words) => {
    const rows = Object.values(entries).sort((a, b) => a.name.localeCompare(b.name));
    return rows.length > 0 && h('details', { class: 'disclosure', open: rows.length <= 20 }, h('summary', null, `${count(rows.length, 'package')} ${words}`), h('ul', { class: 'lines small' }, rows.slice(0, SHOWN).map((row) => h('li', { class: 'wrap' }, h('strong', null, row.filename), ` ${[versionOf(row), row.arch].filter(Boolean).join(' ')}`)), rows.length > SHOWN && h('li', { class: 'muted' }, `and ${rows.length - SHOWN} more`)));
  };
  const none = Object.keys(found.only_here).length + Object.keys(found.only_there).length === 0;
  return h('div', { class: 'stack' }, none && h('p', null, 'They hold the same packages.'), found.same > 0 && h('p', { class: 'muted' }, `${count(found.same, 'package')} in both.`),
    found.upgraded.length > 0 && h('details', { class: 'disclosure', open: true }, h('summary', null, `${count(found.upgraded.length, 'package')} newer there`), h('ul', { class: 'lines small' }, found.upgraded.slice(0, SHOWN).map((one) => h('li', { class: 'wrap' }, h('strong', null, one.name), ` ${one.arch}: ${one.from} → ${one.to}`)))),
    part(found.only_there, there), part(found.only_here, here));
}
