// A switch that says on and off in words. `onchange(on)` may be async; when it fails the switch goes back and says why.
import { h, uid, replace } from '../dom.js';
import { announce } from './toast.js';

export function toggle({ label, hint, checked = false, onchange, disabled = false, on = 'On', off = 'Off', name }) {
  const id = uid('switch');
  const state = h('span', { class: 'state', 'aria-hidden': 'true' });
  const problem = h('span', { class: 'hint', role: 'alert' });
  const say = () => replace(state, input.checked ? on : off);
  const input = h('input', {
    type: 'checkbox', role: 'switch', id, checked, disabled, 'aria-describedby': hint ? `${id}-hint` : null,
    onchange: async () => {
      say();
      replace(problem);
      try {
        await onchange?.(input.checked);
        if (onchange) announce(`${label}: ${input.checked ? on : off}`, { quiet: true });
      } catch (error) {
        input.checked = !input.checked;
        say();
        replace(problem, error.message);
      }
    },
  });
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
