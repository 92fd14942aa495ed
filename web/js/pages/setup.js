// The first owner, in four steps; nothing is saved before the end.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { setBearer, state } from '../state.js';
import { button, busy, linkButton } from '../parts/button.js';
import { check, field, group, password } from '../parts/field.js';
import { https, reach } from '../parts/reach.js';
import { loadSession } from '../main.js';

export const title = 'Set up';

/** How hard a password is to guess, in words: [0 to 4, words]. */
export function strength(text) {
  const sorts = [/[a-z]/, /[A-Z]/, /\d/, /[^a-zA-Z\d]/].filter((sort) => sort.test(text)).length;
  const varied = new Set(text).size;
  const points = Math.min(text.length, varied * 2) + (sorts - 1) * 3;
  if (text.length === 0) return [0, ''];
  if (text.length < 8 || points < 10) return [1, 'Easy to guess. Make it longer.'];
  if (points < 16) return [2, 'Fair. A few more words make it strong.'];
  return points < 24 ? [3, 'Good.'] : [4, 'Strong.'];
}

export async function render(ctx) {
  const right = ctx.query.get('right') ?? '';
  const { open } = await api.get('/ui/api/setup', { signal: ctx.signal });
  if (!open) return over();
  // The right is a secret: it leaves the address at once, and lives in this page only.
  if (right) history.replaceState(null, '', '#/setup');
  const [repositories, addresses] = await Promise.all([
    api.get('/repo', { signal: ctx.signal, quiet: true }).then(() => true, () => false),
    api.get('/ui/api/addresses', { signal: ctx.signal, quiet: true }),
  ]);
  return wizard(right, repositories, addresses);
}

function frame(...children) {
  return h('div', { class: 'plain' }, h('div', { class: 'brand' }, h('img', { src: '/ui/favicon.svg', alt: '' }), 'Packhouse'), children);
}

function over() {
  return frame(h('section', { class: 'card' }, h('h1', { tabindex: '-1' }, 'This server is set up'), h('p', null, 'Or its setup link has ended: it holds for 30 minutes after the first start. The name and password made then are in the file first-run.txt in the data directory.'), h('div', { class: 'actions' }, linkButton('Sign in', '#/sign-in', { look: 'primary' }))));
}

function wizard(given, repositories, addresses) {
  const answers = { username: '', password: '', serve: new Set() };
  const heading = h('h1', { tabindex: '-1' });
  const where = h('p', { class: 'muted', role: 'status' });
  const body = h('div', { class: 'stack' });
  const card = h('section', { class: 'card card-roomy' }, h('div', { class: 'stack stack-tight' }, where, heading), body);
  let at = 0;

  const name = field({ label: 'Your name', name: 'username', required: true, autocomplete: 'username', autocapitalize: 'none', hint: 'Letters, digits and . _ @ -', validate: (text) => (/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(text) ? null : 'Begin with a letter or digit; then letters, digits and . _ @ - may follow, up to 64 in all.') });
  const secret = password({ label: 'Password', name: 'password', required: true, autocomplete: 'new-password', hint: 'Some words only you put together are better than a short riddle.', validate: (text) => (text.length < 8 ? 'At least 8 characters.' : null) });
  const meter = h('div', { class: 'row small' }, h('div', { class: 'meter', 'aria-hidden': 'true' }, [1, 2, 3, 4].map(() => h('span'))), h('span', { role: 'status' }));
  secret.input.addEventListener('input', () => {
    const [points, words] = strength(secret.value);
    [...meter.firstChild.children].forEach((bar, index) => bar.toggleAttribute('data-on', index < points));
    replace(meter.lastChild, words);
  });
  const link = field({ label: 'Setup key', name: 'right', required: true, hint: 'The text behind right= in the link the server printed at its first start.' });
  const wishes = [['apt', 'Debian and Ubuntu packages', 'makes the apt repository main'], ['yum', 'Fedora and RHEL packages', 'makes the yum repository rpms'], ['dir', 'Plain files', 'makes the directory repository files'], ['app', 'Desktop apps that update themselves', 'makes the app first-app with the channel stable'], ['product', 'Builds of our own', 'makes the product first-product']].filter(([id]) => repositories || ['app', 'product'].includes(id)).map(([id, label, hint]) => check({ label, hint, name: id }));

  const steps = [
    { title: 'Who owns this server?', fields: [name, secret, meter, !given && link], ok: () => [name, secret, !given && link].filter(Boolean).every((one) => one.check() || (one.input.focus(), false)), keep: () => Object.assign(answers, { username: name.value.trim(), password: secret.value }) },
    { title: 'How is it reached?', fields: [reached(addresses)], ok: () => true },
    { title: 'What do you want to serve?', fields: [group(null, h('p', { class: 'muted' }, 'Each makes a first place to put files. None is fine too: everything can be made later.'), wishes)], ok: () => true, keep: () => { answers.serve = new Set(wishes.filter((one) => one.value).map((one) => one.fieldName)); } },
  ];

  function show(focus = true) {
    const step = steps[at];
    replace(where, `Step ${at + 1} of 4`);
    replace(heading, step.title);
    const problem = h('div', { class: 'summary', role: 'alert', hidden: true });
    const on = button(at === steps.length - 1 ? 'Set it up' : 'Next', { look: 'primary', type: 'submit' });
    replace(body, h('form', { class: 'stack', novalidate: true, onsubmit: async (event) => {
      event.preventDefault();
      if (!step.ok()) return;
      step.keep?.();
      if (at < steps.length - 1) {
        at += 1;
        show();
        return;
      }
      await busy(on, 'Setting up…', () => finish()).catch((error) => {
        problem.hidden = false;
        replace(problem, h('p', null, error.message));
      });
    } }, step.fields, problem, h('div', { class: 'actions' }, at > 0 && button('Back', { onclick: () => { at -= 1; show(); } }), on)));
    if (focus) heading.focus();
  }

  async function finish() {
    // First of all: once the owner is made there is no way back to this step.
    const { firstPlaces, welcome } = await import('../parts/first-places.js');
    await api.post('/ui/api/setup', { right: (given || link.value).trim().replace(/^.*right=/, ''), username: answers.username, password: answers.password }, { quiet: true });
    const { token } = await api.post('/login', { username: answers.username, password: answers.password }, { quiet: true });
    setBearer(token);
    await loadSession();
    const found = await firstPlaces(answers.serve);
    replace(where, 'Step 4 of 4');
    replace(heading, `Welcome, ${state.user.username}`);
    replace(body, welcome(answers.serve, found));
    heading.focus();
  }

  show(false);
  return frame(card);
}

/** Every address of this machine, the public one first, and what HTTPS needs. */
function reached(found) {
  return h('div', { class: 'stack' }, reach(found), https(found),
    h('p', { class: 'muted small' }, 'A fixed public address for links is set at the start of the server, by --public-url or PACKHOUSE_PUBLIC_URL.'));
}
