// A menu under a button, closed by Escape, a choice or a click elsewhere: menu(button, () => [item, …]).
// Items: menuItem('Words', { icon, onclick, href, checked }).
import { h, icon, replace } from '../dom.js';

export function menu(opener, items, label = 'Menu') {
  const box = h('div', { class: 'menu', popover: 'auto', role: 'menu', 'aria-label': label });
  opener.setAttribute('aria-haspopup', 'menu');
  opener.setAttribute('aria-expanded', 'false');
  const choices = () => [...box.querySelectorAll('[role^="menuitem"]')];
  opener.addEventListener('click', () => {
    if (box.matches(':popover-open')) return box.hidePopover();
    replace(box, items(() => box.hidePopover()));
    (opener.closest('dialog') ?? document.body).append(box);
    box.showPopover();
    const at = opener.getBoundingClientRect();
    const width = box.offsetWidth;
    const under = at.bottom + box.offsetHeight + 8 < innerHeight || at.top < box.offsetHeight;
    box.style.insetInlineStart = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
    box.style.insetBlockStart = `${under ? at.bottom + 4 : at.top - box.offsetHeight - 4}px`;
    choices()[0]?.focus();
  });
  box.addEventListener('toggle', (event) => {
    const open = event.newState === 'open';
    opener.setAttribute('aria-expanded', String(open));
    if (!open) {
      if (box.contains(document.activeElement) || document.activeElement === document.body) opener.focus();
      setTimeout(() => box.remove());
    }
  });
  box.addEventListener('keydown', (event) => {
    const all = choices();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === 'Tab') box.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    all[to % all.length]?.focus();
  });
  box.addEventListener('click', (event) => { if (event.target.closest('[role^="menuitem"]')) box.hidePopover(); });
  return opener;
}

export function menuItem(label, { icon: picture, href, onclick, checked }) {
  const role = checked === undefined ? 'menuitem' : 'menuitemradio';
  const props = { role, tabindex: '-1', onclick, 'aria-checked': checked === undefined ? null : String(checked) };
  return href ? h('a', { ...props, href }, picture && icon(picture), label) : h('button', { ...props, type: 'button' }, picture && icon(picture), label);
}
