// Short words about what has happened: seen at the bottom for six seconds and read out by screen readers. With `undo`
// they stay for ten, and longer while one looks at them; what undoing fails with is said too.
//   announce('Saved')      announce('Removed', { undo: async () => … })      announce('3 of 3', { quiet: true }) is read out only
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
  replace(live, undo ? `${text}. Undo is the last button of the page, for ten seconds.` : text);
  const said = live.textContent;
  setTimeout(() => { if (live.textContent === said) replace(live); }, 4000);
  if (quiet) return;
  const toast = h('div', { class: 'toast' }, h('span', null, text));
  const away = () => {
    toast.remove();
    if (!box.firstChild && box.matches(':popover-open')) box.hidePopover();
  };
  if (undo) {
    toast.append(h('button', { type: 'button', onclick: async () => {
      away();
      await undo()?.catch((error) => announce(error.message));
    } }, 'Undo'));
  }
  box.append(toast);
  if (box.matches(':popover-open')) box.hidePopover();
  box.showPopover();
  const end = () => {
    if (toast.matches(':hover, :focus-within')) setTimeout(end, 1000);
    else away();
  };
  setTimeout(end, seconds * 1000);
}
