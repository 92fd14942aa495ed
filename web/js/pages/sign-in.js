// Name and password; the login is kept for this tab.
import { h } from '../dom.js';
import { api } from '../api.js';
import { go } from '../router.js';
import { setBearer } from '../state.js';
import { field, form, password } from '../parts/field.js';
import { loadSession } from '../main.js';

export const title = 'Sign in';

export function render(ctx) {
  const name = field({ label: 'Name', name: 'username', required: true, autocomplete: 'username', autocapitalize: 'none' });
  const secret = password({ label: 'Password', name: 'password', required: true, autocomplete: 'current-password' });
  const card = form({
    fields: [name, secret], submit: 'Sign in', busy: 'Signing in…',
    onsubmit: async (values) => {
      const { token } = await api.post('/login', values, { quiet: true });
      setBearer(token);
      await loadSession();
      const to = ctx.query.get('to');
      go(to?.startsWith('#/') && !to.startsWith('#/sign-in') ? to : '#/', { replace: true });
    },
  });
  card.classList.add('card');
  card.querySelector('button[type=submit]').classList.add('grow');
  setTimeout(() => name.input.focus());
  return h('div', { class: 'plain' },
    h('div', { class: 'brand' }, h('img', { src: '/ui/favicon.svg', alt: '' }), 'Packhouse'),
    h('h1', { tabindex: '-1' }, 'Sign in'), card,
    h('details', { class: 'disclosure small muted' }, h('summary', null, 'Where do I get a name and a password?'),
      h('p', null, 'The owner of this server has them. If that is you and the server was just installed: open the link it printed at its first start, or read the file first-run.txt in its data directory.')));
}
