// Keys that work anywhere. Single letters can be switched off in the settings and never fire while somebody types.
import { choice } from './state.js';

const heard = new Map();

/** `shortcut('u', 'Upload files', run)`; `mod+k` stands for Ctrl or ⌘ with k. */
export function shortcut(keys, words, run) {
  heard.set(keys, { words, run });
}

export function shortcuts() {
  return [...heard].map(([keys, { words }]) => ({ keys, words }));
}

export function lettersOn() {
  return choice('letters', 'on') === 'on';
}

function typing(target) {
  return target instanceof Element && Boolean(target.closest('input:not([type=checkbox],[type=radio],[type=button]), textarea, select, [contenteditable]'));
}

/** The name of a key event: `mod+k`, `u`, `?`; null for what is no shortcut. */
export function nameOf(event) {
  if (event.altKey || event.isComposing) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return event.ctrlKey || event.metaKey ? `mod+${key}` : key;
}

export function listen() {
  addEventListener('keydown', (event) => {
    const name = nameOf(event);
    const found = heard.get(name);
    if (!found || event.defaultPrevented) return;
    const single = !name.startsWith('mod+');
    if (single && (typing(event.target) || !lettersOn() || document.querySelector('dialog[open], [popover].menu:popover-open'))) return;
    if (!single && document.querySelector('dialog[open]')) return;
    event.preventDefault();
    found.run();
  });
}
