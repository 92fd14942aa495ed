// How this page looks and behaves for you, and your password.
import { h } from '../dom.js';
import { api } from '../api.js';
import { choice, choose } from '../state.js';
import { card, facts, pageHead } from '../parts/page.js';
import { form, password } from '../parts/field.js';
import { toggle } from '../parts/switch.js';
import { setTheme } from '../main.js';
import { lettersOn } from '../shortcuts.js';
import { announce } from '../parts/toast.js';
import { notice } from '../parts/notice.js';
import { https, reach } from '../parts/reach.js';
import { go } from '../router.js';
import { setBearer } from '../state.js';

export const title = 'Settings';

export async function render(ctx) {
  const owner = ctx.user.role === 'owner';
  const [about, addresses] = await Promise.all([api.get('/ui/api/about', { signal: ctx.signal }), owner ? api.get('/ui/api/addresses', { signal: ctx.signal }) : null]);
  const theme = choice('theme', 'auto');
  const themes = h('fieldset', { class: 'fields' }, h('legend', null, 'Theme'), [['auto', 'As the system has it'], ['light', 'Light'], ['dark', 'Dark']].map(([name, words]) => h('div', { class: 'check' },
    h('input', { type: 'radio', name: 'theme', id: `theme-${name}`, value: name, checked: theme === name, onchange: () => setTheme(name) }), h('label', { for: `theme-${name}` }, words))));
  return h('div', { class: 'page' }, pageHead({ title }),
    h('div', { class: 'grid grid-2' },
      card('This browser', {}, themes, toggle({ label: 'Single-letter shortcuts', hint: 'u uploads, / searches, ? shows all keys.', checked: lettersOn(), onchange: (on) => choose('letters', on ? 'on' : 'off') })),
      owner ? card('Your password', {}, passwordForm(ctx)) : card('Your password', {}, notice('info', `${ctx.user.owner}, the owner of this team, can give you another password.`))),
    addresses && card('Where it is reached', {}, reach(addresses), https(addresses)),
    ctx.user.operator && card('This server', {}, facts([
      ['Public address', about.publicUrl ?? 'not set: links begin with the address each request came by'],
      ['Largest upload', about.maxUpload ? `${about.maxUpload / 1048576} MiB` : 'what the disk holds'],
    ]), h('p', { class: 'hint' }, 'These are set where the server is started: --public-url, --max-upload-mb, or the variables PACKHOUSE_PUBLIC_URL and PACKHOUSE_MAX_UPLOAD_MB.')));
}

function passwordForm(ctx) {
  const first = password({ label: 'New password', name: 'password', required: true, autocomplete: 'new-password', validate: (value) => (value.length < 8 ? 'At least 8 characters.' : null) });
  const again = password({ label: 'Once more', name: 'again', required: true, autocomplete: 'new-password', validate: (value) => (value === first.value ? null : 'The two are not the same.') });
  return form({ fields: [h('p', { class: 'hint' }, 'Every earlier sign-in of this account ends, this one too.'), first, again], submit: 'Change the password', busy: 'Changing…', onsubmit: async (values) => {
    await api.post('/admin/update', { id: ctx.user.id, username: ctx.user.username, password: values.password });
    setBearer(null);
    announce('The password is changed. Sign in with the new one.');
    go('#/sign-in');
  } });
}
