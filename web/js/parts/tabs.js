// Tabs with the usual arrow keys. `items: [{id, label, render: () => node or promise}]`; a panel is made at its first
// look. `remember` names a choice kept in the browser; `chosen`/`onchange` tie it to an address instead.
import { h, replace, uid } from '../dom.js';
import { choice, choose } from '../state.js';
import { failure } from './error.js';

export function tabs({ label, items, remember, chosen, onchange }) {
  const id = uid('tabs');
  const wanted = chosen ?? (remember && choice(`tab.${remember}`));
  let active = Math.max(0, items.findIndex((item) => item.id === wanted));
  const panels = items.map((item, index) => h('div', { class: 'tabpanel', role: 'tabpanel', id: `${id}-p${index}`, 'aria-labelledby': `${id}-t${index}`, hidden: true }));
  const buttons = items.map((item, index) => h('button', {
    type: 'button', class: 'tab', role: 'tab', id: `${id}-t${index}`, 'aria-controls': `${id}-p${index}`, onclick: () => show(index),
  }, item.label));
  const list = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label, onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -active, End: items.length - 1 - active }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show((active + step + items.length) % items.length);
    buttons[active].focus();
  } }, buttons);

  function show(index, quiet = false) {
    active = index;
    buttons.forEach((one, at) => {
      one.setAttribute('aria-selected', String(at === index));
      if (at === index) one.removeAttribute('tabindex');
      else one.setAttribute('tabindex', '-1');
      panels[at].hidden = at !== index;
    });
    const item = items[index];
    if (!panels[index].firstChild) draw(item, panels[index]);
    if (quiet) return;
    if (remember) choose(`tab.${remember}`, item.id);
    onchange?.(item.id);
  }
  async function draw(item, panel) {
    panel.setAttribute('aria-busy', 'true');
    try {
      replace(panel, h('p', { class: 'muted', hidden: true }));
      replace(panel, await item.render());
    } catch (error) {
      if (error.name !== 'AbortError') replace(panel, failure(error, () => draw(item, panel)));
    } finally {
      panel.removeAttribute('aria-busy');
    }
  }
  const node = h('div', null, list, panels);
  node.show = (name) => show(Math.max(0, items.findIndex((item) => item.id === name)));
  node.refresh = (name) => {
    const index = items.findIndex((item) => item.id === name);
    if (index < 0) return;
    panels[index].replaceChildren();
    if (index === active) draw(items[index], panels[index]);
  };
  show(active, true);
  return node;
}
