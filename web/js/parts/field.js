// Form fields with label, hint and a place for what is wrong; and forms that send them.
//
//   const name = field({ label: 'Name', name: 'name', required: true, hint: '…' })   → element; name.value, name.problem('…')
//   types: text (default), password, number, url, search, select (options: ['a', ['value', 'Words']]), textarea, file
//   check({ label, name, checked, hint })                                            → a checkbox; .value is a boolean
//   form({ fields: [name, …], submit: 'Create', busy: 'Creating…', onsubmit: async (values) => …, cancel, look })
//
// A refusal thrown by `onsubmit` is shown beside the field it names (`error.field`), else above the buttons.
import { h, icon, replace, uid } from '../dom.js';
import { button, busy } from './button.js';
import { announce } from './toast.js';

export function field({ label, name, type = 'text', value = '', hint, required = false, options, wide, optional = !required, after, validate, class: more, ...props }) {
  const id = uid('field');
  const described = [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(' ');
  const common = { id, name, class: 'input', 'aria-describedby': described, 'aria-required': required ? 'true' : null, ...props };
  const input = type === 'select'
    ? h('select', { ...common, ...(value === '' ? {} : { value }) }, (options ?? []).map((option) => {
        const [key, words] = Array.isArray(option) ? option : [option, option];
        return h('option', { value: key }, words);
      }))
    : type === 'textarea' ? h('textarea', { rows: 4, ...common, value })
    : type === 'file' ? h('input', { type, ...common })
    : h('input', { type, autocomplete: 'off', spellcheck: type === 'text' ? 'false' : null, ...common, value });
  const problem = h('p', { class: 'problem', id: `${id}-problem` });
  const node = h('div', { class: ['field', wide && 'field-wide', more] },
    h('label', { for: id }, label, optional && type !== 'select' && h('span', { class: 'optional' }, ' (optional)')),
    after ? h('div', { class: 'input-with' }, input, after) : input,
    hint && h('p', { class: 'hint', id: `${id}-hint` }, hint),
    problem);
  node.input = input;
  node.fieldName = name;
  node.label = label;
  Object.defineProperty(node, 'value', {
    get: () => (type === 'file' ? input.files[0] ?? null : input.value),
    set: (text) => { input.value = text; },
  });
  node.problem = (text) => {
    replace(problem, text && [icon('warn'), h('span', null, text)]);
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  node.check = () => {
    const given = type === 'file' ? input.files.length > 0 : input.value.trim() !== '';
    const text = required && !given ? `${label} is needed.` : input.validity?.badInput ? `${label} is not a number.` : given ? validate?.(node.value) : null;
    node.problem(text || null);
    return !text;
  };
  input.addEventListener('input', () => input.getAttribute('aria-invalid') && node.check());
  return node;
}

export function check({ label, name, checked = false, hint, onchange, ...props }) {
  const id = uid('check');
  const input = h('input', { type: 'checkbox', id, name, checked, 'aria-describedby': hint ? `${id}-hint` : null, onchange: onchange && (() => onchange(input.checked)), ...props });
  const node = h('div', { class: 'check' }, input, h('div', null, h('label', { for: id }, label), hint && h('span', { class: 'hint', id: `${id}-hint` }, hint)));
  node.input = input;
  node.fieldName = name;
  node.check = () => true;
  node.problem = () => {};
  Object.defineProperty(node, 'value', { get: () => input.checked, set: (on) => { input.checked = on; } });
  return node;
}

/** Fields side by side where there is room. */
export function side(...fields) {
  const node = h('div', { class: 'fields-row' }, fields);
  node.fields = fields;
  return node;
}

/** A group of fields with a heading. */
export function group(legend, ...fields) {
  const node = h('fieldset', { class: 'fields' }, legend && h('legend', null, legend), fields);
  node.fields = fields;
  return node;
}

/** A password field with a button that shows it. */
export function password(options) {
  const eye = button('Show password', { look: 'icon', icon: 'eye', 'aria-pressed': 'false' });
  const node = field({ type: 'password', ...options, after: eye });
  eye.addEventListener('click', () => {
    const shown = node.input.type === 'password';
    node.input.type = shown ? 'text' : 'password';
    eye.setAttribute('aria-pressed', String(shown));
    replace(eye, icon(shown ? 'eye-off' : 'eye'));
  });
  return node;
}

function flat(fields) {
  return fields.flatMap((one) => (one?.fields ? flat(one.fields) : one?.check ? [one] : []));
}

export function form({ fields, submit, busy: words = 'Saving…', onsubmit, cancel, look = 'primary', done }) {
  const all = flat(fields);
  const summary = h('div', { class: 'summary', role: 'alert', hidden: true });
  const save = button(submit, { look, type: 'submit' });
  const node = h('form', { class: 'stack', novalidate: true },
    fields, summary, h('div', { class: 'actions dialog-foot' }, save, cancel && button('Cancel', { onclick: cancel })));
  node.values = () => Object.fromEntries(all.filter((one) => one.fieldName).map((one) => [one.fieldName, one.value]));
  node.problem = (text) => {
    summary.hidden = !text;
    replace(summary, text && h('p', null, text));
  };
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    node.problem(null);
    const wrong = all.filter((one) => !one.check());
    if (wrong.length) {
      wrong[0].input.focus();
      return;
    }
    await busy(save, words, async () => {
      try {
        await onsubmit(node.values());
        if (done) announce(done);
      } catch (error) {
        if (error.name === 'AbortError') return;
        const guilty = all.find((one) => one.fieldName === error.field);
        if (guilty) {
          guilty.problem(error.message);
          guilty.input.focus();
        } else node.problem(error.message);
      }
    });
  });
  return node;
}
