// Ctrl/⌘ K: go anywhere by typing. Places at once, artifacts from the server as one types.
import { h, icon, replace, uid } from '../dom.js';
import { api } from '../api.js';
import { go, link } from '../router.js';
import { open } from './modal.js';

export async function palette(places, findArtifacts, typed = { text: '', enter: false }) {
  const id = uid('palette');
  let options = [];
  let active = 0;
  let turn = 0;
  // Enter, pressed before the files came: then the first of them is meant.
  let wanted = false;
  const list = h('ul', { role: 'listbox', id, 'aria-label': 'Places' });
  const none = h('p', { class: 'none', role: 'status', hidden: true });
  const input = h('input', {
    class: 'input', type: 'text', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': id, 'aria-label': 'Go to', 'aria-autocomplete': 'list',
    placeholder: findArtifacts ? 'Go to a page or find a file' : 'Go to a page', autocomplete: 'off', spellcheck: 'false', oninput: () => find(input.value),
    onkeydown: (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && options.length) {
        event.preventDefault();
        mark((active + step + options.length) % options.length);
      } else if (event.key === 'Enter' && options[active]) {
        event.preventDefault();
        choose(options[active]);
      } else if (event.key === 'Enter') {
        event.preventDefault();
        wanted = true;
      }
    },
  });
  const dialog = h('dialog', { class: 'palette', 'aria-label': 'Go to' }, input, list, none);
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });

  function choose(option) {
    dialog.close();
    if (option.run) option.run();
    else go(option.href);
  }
  function mark(index) {
    active = index;
    [...list.children].forEach((node, at) => {
      node.setAttribute('aria-selected', String(at === index));
      if (at === index) {
        input.setAttribute('aria-activedescendant', node.id);
        node.scrollIntoView({ block: 'nearest' });
      }
    });
  }
  function draw() {
    replace(list, options.map((option, index) => h('li', { role: 'option', id: `${id}-${index}`, onclick: () => choose(option), onmousemove: () => active !== index && mark(index) },
      icon(option.icon), h('span', { class: 'grow' }, option.label), h('span', { class: 'where' }, option.where))));
    none.hidden = options.length > 0;
    replace(none, options.length === 0 && 'Nothing fits.');
    list.hidden = options.length === 0;
    if (options.length) mark(0);
  }
  async function find(text) {
    const words = text.trim().toLowerCase();
    turn += 1;
    wanted = false;
    const mine = turn;
    const fits = places.filter((place) => `${place.label} ${place.where ?? ''}`.toLowerCase().includes(words));
    options = fits;
    draw();
    if (!findArtifacts || words.length < 2) return;
    await new Promise((resolve) => { setTimeout(resolve, 120); });
    if (mine !== turn) return;
    try {
      const found = await api.get('/ui/api/artifacts', { query: { q: words, limit: 8 } });
      if (mine !== turn) return;
      options = [...fits, ...found.rows.map((row) => ({ icon: 'file', label: row.name, where: [row.version, row.kind].filter(Boolean).join(' · '), href: link('/artifact/:digest', { digest: row.digest }) }))];
      const kept = active;
      draw();
      if (kept < options.length) mark(kept);
      if (wanted && dialog.open && options.length) choose(options[0]);
    } catch {
      // The places are there all the same.
    }
  }
  input.value = typed.text;
  find(typed.text);
  const closed = open(dialog);
  if (typed.enter && options.length) choose(options[0]);
  else wanted = typed.enter;
  await closed;
}
