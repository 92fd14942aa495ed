// Short words about what has happened: seen at the bottom for six seconds and read out by screen readers.
//   announce('Saved')      announce('Removed', { undo: () => … })      announce('3 of 3', { quiet: true }) is read out only
import { h, replace } from '../dom.js';

let live;
let box;

export function mountToasts(root) {
  live = h('div', { class: 'sr', role: 'status', 'aria-live': 'polite' });
  // A popover, so that it stands above open dialogs.
  box = h('aside', { class: 'toasts', 'aria-label': 'Messages', popover: 'manual' });
  root.append(live, box);
}

export function announce(text, { undo, quiet = false, seconds = undo ? 10 : 6 } = {}) {
  replace(live, text);
  setTimeout(() => { if (live.textContent === text) replace(live); }, 4000);
  if (quiet) return;
  const toast = h('div', { class: 'toast' }, h('span', null, text));
  const away = () => {
    toast.remove();
    if (!box.firstChild && box.matches(':popover-open')) box.hidePopover();
  };
  if (undo) toast.append(h('button', { type: 'button', onclick: () => { away(); undo(); } }, 'Undo'));
  box.append(toast);
  if (box.matches(':popover-open')) box.hidePopover();
  box.showPopover();
  setTimeout(away, seconds * 1000);
}
