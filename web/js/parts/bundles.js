// Carrying a repository across an air gap: a bundle to save here, a bundle from elsewhere to take in, and whom to believe.
import { h, replace } from '../dom.js';
import { bytes, count } from '../format.js';
import { go, link } from '../router.js';
import { base, choice, choose } from '../state.js';
import { button, busy, linkButton } from './button.js';
import { time } from './digest.js';
import { drawer } from './drawer.js';
import { dropzone } from './dropzone.js';
import { check, field, form } from './field.js';
import { progress } from './progress.js';
import { snippets } from './snippet.js';
import { announce } from './toast.js';
import { distrustKey, exportAddress, importBundle, trustKey, trustedKeys } from '../data/repos.js';
import { bundleExport } from '../snippets.js';

/** Saves a repository as one file; what was exported last from this browser is what the next one goes on from. */
export async function exportDrawer(repo) {
  const remembered = `exported.${repo.name}`;
  const last = Number(choice(remembered, '')) || 0;
  const useful = last > 0 && last < repo.generation;
  const from = field({ label: 'Which generation the other side has', name: 'since', type: 'number', min: 1, max: repo.generation, value: String(useful ? last : Math.max(1, repo.generation - 1)), hint: 'Its page on the other server says it, below Settings. What that generation had is left out of the file.' });
  const what = field({ label: 'What goes along', name: 'what', type: 'select', value: useful ? 'since' : 'all', options: [['all', 'Everything'], ['since', 'What came after a generation']] });
  const save = linkButton('Save the bundle', exportAddress(repo.name), { look: 'primary', icon: 'download', download: '', onclick: () => choose(remembered, String(repo.generation)) });
  const commands = h('div');
  const draw = () => {
    const part = what.value === 'since';
    from.hidden = !part;
    const since = part && from.input.validity.valid ? Number(from.value) || undefined : undefined;
    save.href = exportAddress(repo.name, since);
    replace(commands, snippets(bundleExport(base(), repo.name, since)));
  };
  what.input.addEventListener('change', draw);
  from.input.addEventListener('input', draw);
  draw();
  await drawer({ title: `Export ${repo.name}`, body: (close) => h('div', { class: 'stack' },
    h('p', null, `A signed file with the ${count(repo.packages, 'package')} of generation ${repo.generation}, for a server without this network. There it becomes the same repository.`),
    what, from, h('div', { class: 'actions' }, save, button('Close', { onclick: () => close() })),
    h('details', { class: 'disclosure' }, h('summary', null, 'By commands'), commands)) });
}

/** Takes bundles in. */
export async function importDrawer(ctx) {
  let changed = false;
  await drawer({ title: 'Import a bundle', wide: true, body: (close) => {
    const trust = check({ label: 'Take it though nobody trusted has signed it', name: 'trust', hint: 'For a bundle whose way here you know.' });
    const over = check({ label: 'Put it in the place of what is here', name: 'replace', hint: 'For a repository of that name that was made here, or that is newer here.' });
    const told = h('div', { class: 'stack', 'aria-live': 'polite' });
    const open = (repo) => { changed = false; close(); go(link('/repositories/:name', { name: repo })); };
    const take = async ([file]) => {
      const bar = progress(`Importing ${file.name}`);
      replace(told, bar);
      try {
        const done = await importBundle(file, { trust: trust.input.checked, replace: over.input.checked }, (sent, whole) => bar.at(sent, whole, file.name, sent < whole ? `${bytes(sent)} of ${bytes(whole)}` : 'Checking and publishing…'));
        changed = true;
        replace(told, h('div', { class: 'told told-ok' }, h('strong', { class: 'wrap' }, done.name),
          done.changed ? ` is published with ${count(done.packages, 'package')}: +${done.added} −${done.removed}.` : ' is up to date already: nothing changed.',
          done.warnings.map((words) => h('p', { class: 'small' }, words))),
        h('div', { class: 'actions' }, button('Open the repository', { look: 'primary', icon: 'layers', onclick: () => open(done.name) })));
      } catch (error) {
        replace(told, h('div', { class: 'told told-bad' }, h('strong', { class: 'wrap' }, file.name), h('p', { class: 'wrap' }, error.message), h('p', { class: 'small' }, 'Nothing has changed here.')),
          h('div', { class: 'actions' }, button('Try again', { icon: 'sync', onclick: () => take([file]) })));
      }
    };
    return h('div', { class: 'stack' },
      h('p', null, 'A bundle is what another Packhouse exports. All of it is checked before anything becomes visible; importing it twice changes nothing.'),
      dropzone({ label: 'Drop a bundle, or choose it', hint: 'A .zip file saved with Export…', multiple: false, accept: '.zip,application/zip', onfiles: take }),
      told, trust, over,
      h('details', { class: 'disclosure' }, h('summary', null, 'Servers whose bundles are believed'), trusted()),
      h('div', { class: 'actions' }, button('Close', { onclick: () => close() })));
  } });
  if (changed) ctx.refresh();
}

/** The certificates of other servers: shown, added, taken away. */
function trusted() {
  const list = h('ul', { class: 'lines' });
  const draw = async () => {
    try {
      const keys = Object.entries(await trustedKeys());
      replace(list, keys.length === 0 && h('li', { class: 'muted' }, 'Only this server itself.'), keys.map(([fingerprint, key]) => {
        const away = button(`Trust ${key.user || fingerprint} no longer`, { look: 'icon', icon: 'trash', onclick: () => busy(away, '…', async () => {
          try {
            await distrustKey(fingerprint);
          } catch (error) {
            announce(error.message);
          }
          await draw();
        }) });
        return h('li', { class: 'row spread' }, h('div', { class: 'grow' }, h('strong', { class: 'wrap' }, key.user || 'A server'), h('div', { class: 'muted small' }, h('code', { class: 'wrap' }, fingerprint), ' since ', time(key.added_at))), away);
      }));
    } catch (error) {
      replace(list, h('li', null, error.message));
    }
  };
  draw();
  return h('div', { class: 'stack' }, list, form({
    fields: [field({ label: 'Certificate of the other server', name: 'certificate', type: 'textarea', required: true, hint: 'The text of its address /key.asc.' })],
    submit: 'Believe its bundles', busy: 'Adding…',
    onsubmit: async ({ certificate }) => {
      await trustKey(certificate);
      announce('Its bundles are believed from now on');
      await draw();
    },
  }));
}
