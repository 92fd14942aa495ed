// A switch that says on and off in words. `onchange(on)` may be async; when it fails the switch goes back and says why.
// `undo`: words for having switched it off, shown with a way back.
import { h, uid, replace } from '../dom.js';
import { announce } from './toast.js';

export function toggle({ label, hint, checked = false, onchange, disabled = false, on = 'On', off = 'Off', name, undo }) {
  const id = uid('switch');
  const state = h('span', { class: 'state', 'aria-hidden': 'true' });
  const problem = h('span', { class: 'hint', role: 'alert' });
  const say = () => replace(state, input.checked ? on : off);
  const input = h('input', {
    type: 'checkbox', role: 'switch', id, checked, disabled, 'aria-describedby': hint ? `${id}-hint` : null,
    onchange: () => changed(),
  });
  async function changed() {
    say();
    replace(problem);
    try {
      await onchange?.(input.checked);
    } catch (error) {
      input.checked = !input.checked;
      say();
      replace(problem, error.message);
      return;
    }
    if (!onchange) return;
    if (undo && !input.checked) announce(undo, { undo: async () => { input.checked = true; await changed(); } });
    else announce(`${label}: ${input.checked ? on : off}`, { quiet: true });
  }
  const node = h('div', { class: 'switch' }, input,
    h('div', null, h('label', { for: id }, label), ' ', state, hint && h('span', { class: 'hint', id: `${id}-hint` }, hint), problem));
  node.input = input;
  node.fieldName = name;
  node.check = () => true;
  node.problem = (text) => replace(problem, text);
  Object.defineProperty(node, 'value', { get: () => input.checked, set: (value) => { input.checked = value; say(); } });
  say();
  return node;
}
