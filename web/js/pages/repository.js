// One repository: its packages, the tree clients see, the lines to set up a machine, and its options.
import { h, icon, replace } from '../dom.js';
import { allOf, api } from '../api.js';
import { bytes, count } from '../format.js';
import { go, link } from '../router.js';
import { base } from '../state.js';
import { badge } from '../parts/badge.js';
import { exportDrawer } from '../parts/bundles.js';
import { button, busy, linkButton } from '../parts/button.js';
import { confirm } from '../parts/dialog.js';
import { time } from '../parts/digest.js';
import { drawer } from '../parts/drawer.js';
import { dropzone } from '../parts/dropzone.js';
import { empty } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { notice } from '../parts/notice.js';
import { packageTable } from '../parts/packages.js';
import { card, facts, pageHead } from '../parts/page.js';
import { progress } from '../parts/progress.js';
import { repoFields } from '../parts/repofields.js';
import { snippets } from '../parts/snippet.js';
import { snapshots } from '../parts/snapshots.js';
import { tabs } from '../parts/tabs.js';
import { announce } from '../parts/toast.js';
import { TAKES, changeRepo, copyInto, deleteRepo, packagesOf, patchPackages, repoNamed, repoNames, sendPackage, upstreamNames } from '../data/repos.js';
import { packageUpload, repository } from '../snippets.js';

export const title = (params) => params.name;

export async function render(ctx, { name }) {
  const [repo, packages] = await allOf([repoNamed(name, ctx.signal), packagesOf('repo', name, ctx.signal)]);
  const add = () => addDrawer(repo, ctx);
  return h('div', { class: 'page' },
    pageHead({
      title: name, badges: [badge(repo.type, 'accent', { plain: true }), h('span', { class: 'muted small' }, `${count(repo.packages, 'package')}, ${bytes(repo.size)}, published `, time(repo.updated_at)), repo.follow && badge(`Follows ${repo.follow.type === 'upstream' ? 'upstream' : 'repository'} ${repo.follow.name}`, 'info')],
      actions: [button('Export…', { icon: 'download', onclick: () => exportDrawer(repo) }), button('Copy from…', { icon: 'sync', onclick: () => copyDrawer(repo, ctx) }), button('Add packages', { look: 'primary', icon: 'plus', onclick: add })],
    }),
    repo.followed?.error && notice('bad', `The last copy from ${repo.follow.name} failed. What was published before is still served.`, h('p', { class: 'wrap' }, repo.followed.error)),
    tabs({ label: name, chosen: ctx.tab('packages'), onchange: (tab) => history.replaceState(null, '', link('/repositories/:name', { name }, { tab: tab === 'packages' ? '' : tab })), items: [
      { id: 'packages', label: 'Packages', render: () => packageTable({
        caption: `Packages of ${name}`, packages, pick: true,
        toolbar: (rows) => {
          const away = button('Remove', { look: 'danger', icon: 'trash', onclick: () => busy(away, 'Publishing…', () => removePackages(repo, rows, ctx)).catch((error) => announce(error.message)) });
          return away;
        },
        empty: empty({ icon: 'layers', title: 'No package yet', text: 'It is published and signed already, only empty. Add packages from the catalog, drop files, or copy an upstream.', action: button('Add packages', { look: 'primary', icon: 'plus', onclick: add }) }),
      }) },
      { id: 'files', label: 'Files', render: () => filesOf(repo) },
      { id: 'setup', label: 'Set up a machine', render: () => setup(repo, packages) },
      { id: 'snapshots', label: 'Snapshots', render: () => snapshots(repo, ctx) },
      { id: 'settings', label: 'Settings', render: async () => settings(repo, await sources(repo), ctx) },
    ] }));
}

async function changed(work, ctx) {
  const answer = await work;
  announce(answer.changed ? `Published: +${answer.added} −${answer.removed} =${answer.packages}${answer.warnings.length ? `. ${answer.warnings.join(' ')}` : ''}` : 'Nothing changed');
  ctx.refresh();
}

async function removePackages(repo, rows, ctx) {
  await patchPackages(repo.name, Object.fromEntries(rows.map((row) => [row.shasum, false])));
  // Each comes back under the names it had; its bytes are kept as long as the state before is.
  announce(`${rows.length === 1 ? rows[0].filename : count(rows.length, 'package')} removed from ${repo.name}`, { undo: async () => {
    await patchPackages(repo.name, Object.fromEntries(rows.map(({ shasum, filename, filenames, component }) => [shasum, { filename, filenames, component }])));
    announce(`${count(rows.length, 'package')} back in ${repo.name}`);
    ctx.again();
  } });
  ctx.again();
}

async function addDrawer(repo, ctx) {
  const kind = TAKES[repo.type];
  let added = 0;
  await drawer({ title: `Add packages to ${repo.name}`, wide: true, body: (close) => {
    const sent = h('div', { class: 'stack', 'aria-live': 'polite' });
    // What one does once there is something to install.
    const next = button('Set up a machine', { look: 'primary', hidden: true, onclick: () => { added = 0; close(); go(link('/repositories/:name', { name: repo.name }, { tab: 'setup' })); } });
    const placed = () => {
      added += 1;
      next.hidden = false;
    };
    const found = h('ul', { class: 'lines' });
    const note = (tone, ...words) => h('div', { class: `told told-${tone}` }, words);
    const send = async (files) => {
      for (const file of files) {
        const bar = progress(`Uploading ${file.name}`);
        const line = h('div', null, bar);
        sent.append(line);
        try {
          const entry = await sendPackage(file, repo.name, (done, whole) => bar.at(done, whole, file.name, `${bytes(Math.min(done, whole))} of ${bytes(whole)}`));
          placed();
          replace(line, note('ok', h('strong', { class: 'wrap' }, entry.filename), ' is published.'));
        } catch (error) {
          replace(line, note('bad', h('strong', { class: 'wrap' }, file.name), h('p', { class: 'small' }, error.message)));
        }
      }
    };
    let timer;
    const search = h('input', { class: 'input', type: 'search', 'aria-label': 'Find in the catalog', placeholder: 'Name, version or file name', oninput: () => { clearTimeout(timer); timer = setTimeout(find, 150); } });
    const find = async () => {
      try {
        const { rows } = await api.get('/ui/api/artifacts', { query: { q: search.value.trim(), kind, limit: 20 } });
        replace(found, rows.length === 0 && h('li', { class: 'muted' }, search.value.trim() ? `${kind ? `No ${kind} file` : 'Nothing'} in the catalog fits.` : `The catalog has no ${kind ? `${kind} ` : ''}file yet.`), rows.map((row) => {
          const put = button('Add', { look: 'small', icon: 'plus', 'aria-label': `Add ${row.name}` });
          put.addEventListener('click', () => busy(put, 'Publishing…', async () => {
            try {
              await patchPackages(repo.name, { [row.digest]: true });
              placed();
              put.replaceWith(badge('Added', 'ok'));
            } catch (error) {
              announce(error.message);
            }
          }));
          return h('li', { class: 'row spread' }, h('div', { class: 'grow' }, h('strong', { class: 'wrap' }, row.name), h('span', { class: 'muted small' }, ` ${[row.version, row.arch, bytes(row.size)].filter(Boolean).join(' · ')}`)), put);
        }));
      } catch (error) {
        replace(found, h('li', { class: 'muted' }, error.message));
      }
    };
    find();
    return h('div', { class: 'stack' }, dropzone({ label: kind ? `Drop .${kind} files` : 'Drop files', hint: 'Each is checked, stored and published at once.', onfiles: send }), sent,
      h('h3', null, 'Or from the catalog'), h('div', { class: 'searchline' }, icon('search'), search), found, h('details', { class: 'disclosure' }, h('summary', null, 'From a build server'), snippets([packageUpload(base(), repo)])), h('div', { class: 'actions' }, next, button('Close', { onclick: () => close() })));
  } });
  if (added) ctx.again();
}

/** What a repository can be copied from, as a choice: `upstream NAME` or `repo NAME`. */
async function sources(repo) {
  const [ups, others] = await Promise.all([upstreamNames(), repoNames()]);
  return [...ups.map((one) => [`upstream ${one}`, `Upstream ${one}`]), ...others.filter((one) => one !== repo.name).map((one) => [`repo ${one}`, `Repository ${one}`])];
}

const chosenSource = (text) => {
  const [type, ...rest] = text.split(' ');
  return { name: rest.join(' '), type };
};

async function copyDrawer(repo, ctx) {
  const options = await sources(repo);
  await drawer({ title: `Make ${repo.name} equal to another`, body: (close) => (options.length === 0 ? empty({ icon: 'sync', level: 'h3', title: 'Nothing to copy from', text: 'There is no upstream and no other repository.' }) : form({
    fields: [h('p', null, 'Its list becomes a copy of the other as that is now. Packages that are not there leave it; later changes there come along only if it follows the other (Settings).'), field({ label: 'From', name: 'from', type: 'select', options })],
    submit: 'Copy and publish', busy: 'Publishing…', cancel: () => close(),
    onsubmit: async ({ from }) => {
      await changed(copyInto(repo.name, chosenSource(from)), ctx);
      close();
    },
  })) });
}

function filesOf(repo) {
  const suite = `dists/${repo.suite ?? 'stable'}`;
  const top = { apt: repo.flat ? ['InRelease', 'Release', 'Release.gpg', 'Packages', 'Packages.gz', 'key.asc', 'packhouse.sources', 'packhouse.list'] : [`${suite}/InRelease`, `${suite}/Release`, `${suite}/Release.gpg`, 'key.asc', 'packhouse.sources', 'packhouse.list'], yum: ['repodata/repomd.xml', 'repodata/repomd.xml.asc', 'key.asc', 'packhouse.repo'], dir: ['index.json', 'SHA256SUMS', 'SHA256SUMS.asc', 'key.asc'] }[repo.type] ?? [];
  const at = `/repo/${encodeURIComponent(repo.name)}/`;
  return card('As clients see it', { actions: linkButton('Browse the tree', at, { icon: 'layers', target: '_blank', rel: 'noopener' }) }, h('p', { class: 'hint' }, 'Every change publishes a whole new state in one step; clients never see a mixture.'),
    h('ul', { class: 'lines' }, top.map((file) => h('li', null, h('a', { class: 'mono', href: at + file, target: '_blank', rel: 'noopener' }, file)))));
}

function setup(repo, packages) {
  const first = packages[0];
  return h('div', { class: 'stack' }, card('Let a machine install from here', {}, snippets(repository(base(), repo, repo.type === 'dir' ? first?.filename : first?.name), `repo-${repo.type}`)),
    card('Publish from a build server', {}, h('p', { class: 'hint' }, 'The key must be an admin key.'), snippets([packageUpload(base(), repo)])));
}

function settings(repo, choices, ctx) {
  const options = repoFields(repo.type, repo);
  const away = button('Delete this repository', { look: 'danger', icon: 'trash', onclick: async () => {
    const done = await confirm({ title: `Delete ${repo.name}?`, text: ['Its tree is gone at once: machines that install from it get errors.', 'Its packages stay where another door offers them.'], verb: 'Delete repository', danger: true, typed: repo.name, busy: 'Deleting…', work: () => deleteRepo(repo.name) });
    if (!done) return;
    announce(`${repo.name} deleted`);
    go('#/repositories');
  } });
  return h('div', { class: 'stack' },
    card('Options', {}, facts([['Made', time(repo.created_at)], ['Generation', String(repo.generation)], repo.imported && ['Imported', h('span', null, `generation ${repo.imported.generation} of elsewhere, `, time(repo.imported.imported_at))]]), repo.type !== 'dir' && form({ fields: [options], submit: 'Save and publish', busy: 'Publishing…', onsubmit: async () => { await changeRepo(repo.name, options.chosen()); announce('Published with the new options'); ctx.refresh(); } })),
    following(repo, choices, ctx),
    card('Delete', {}, h('div', null, away)));
}

function following(repo, choices, ctx) {
  const now = repo.follow ? `${repo.follow.type} ${repo.follow.name}` : '';
  const source = field({ label: 'Source', name: 'source', type: 'select', value: now, options: [['', 'Nothing: its list is set by hand'], ...choices], hint: 'After each good change of the source its list becomes a copy of it; the first copy is made at once. Packages that are not there leave it.' });
  return card('Follow another list', {}, repo.follow && facts([['Last copy', repo.followed?.at ? time(repo.followed.at) : 'None yet']]),
    form({ fields: [source], submit: 'Save', busy: 'Saving…', onsubmit: async ({ source: chosen }) => {
      await changeRepo(repo.name, { follow: chosen ? chosenSource(chosen) : null });
      announce(chosen ? `${repo.name} follows ${chosenSource(chosen).name}` : `${repo.name} follows nothing`);
      ctx.refresh();
    } }));
}
