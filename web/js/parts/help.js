// The list of keyboard shortcuts, and the switch for single letters.
import { h } from '../dom.js';
import { lettersOn, shortcuts } from '../shortcuts.js';
import { choose } from '../state.js';
import { headed, open } from './modal.js';
import { toggle } from './switch.js';

function keysOf(name) {
  const mac = navigator.platform?.startsWith('Mac');
  return name.split('+').map((key) => (key === 'mod' ? (mac ? '⌘' : 'Ctrl') : key.length === 1 ? key.toUpperCase() : key));
}

export async function help() {
  const dialog = h('dialog', { class: 'dialog' });
  dialog.append(h('div', null, headed('Keyboard shortcuts', dialog),
    h('dl', { class: 'facts' }, shortcuts().map(({ keys, words }) => [h('dt', null, keysOf(keys).map((key) => [h('kbd', null, key), ' '])), h('dd', null, words)]), h('dt', null, h('kbd', null, 'Esc')), h('dd', null, 'Close what is on top')),
    toggle({ label: 'Single-letter shortcuts', hint: 'Switch them off when they get in the way of other software.', checked: lettersOn(), onchange: (on) => choose('letters', on ? 'on' : 'off') })));
  await open(dialog);
}
