// The first owner, in four steps; nothing is saved before the end.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { go } from '../router.js';
import { setBearer, state } from '../state.js';
import { button, busy, linkButton } from '../parts/button.js';
import { check, field, group, password } from '../parts/field.js';
import { snippet } from '../parts/snippet.js';
import { notice } from '../parts/notice.js';
import { dropzone } from '../parts/dropzone.js';
import { take } from '../upload.js';
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
  const repositories = await api.get('/repo', { signal: ctx.signal, quiet: true }).then(() => true, () => false);
  return wizard(right, repositories);
}

function frame(...children) {
  return h('div', { class: 'plain' }, h('div', { class: 'brand' }, h('img', { src: '/ui/favicon.svg', alt: '' }), 'Packhouse'), children);
}

function over() {
  return frame(h('section', { class: 'card' }, h('h1', { tabindex: '-1' }, 'This server is set up'), h('p', null, 'Or its setup link has ended: it holds for 30 minutes after the first start. The name and password made then are in the file first-run.txt in the data directory.'), h('div', { class: 'actions' }, linkButton('Sign in', '#/sign-in', { look: 'primary' }))));
}

function wizard(given, repositories) {
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
  const wishes = [['apt', 'Debian and Ubuntu packages', 'makes the apt repository main'], ['yum', 'Fedora and RHEL packages', 'makes the yum repository rpms'], ['dir', 'Plain files', 'makes the directory repository files'], ['product', 'Builds of our own', 'makes the product first-product']].filter(([id]) => repositories || id === 'product').map(([id, label, hint]) => check({ label, hint, name: id }));

  const steps = [
    { title: 'Who owns this server?', fields: [name, secret, meter, !given && link], ok: () => [name, secret, !given && link].filter(Boolean).every((one) => one.check() || (one.input.focus(), false)), keep: () => Object.assign(answers, { username: name.value.trim(), password: secret.value }) },
    { title: 'How is it reached?', fields: [reached()], ok: () => true },
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
    await api.post('/ui/api/setup', { right: (given || link.value).trim().replace(/^.*right=/, ''), username: answers.username, password: answers.password }, { quiet: true });
    const { token } = await api.post('/login', { username: answers.username, password: answers.password }, { quiet: true });
    setBearer(token);
    await loadSession();
    const troubles = [];
    const attempt = async (wish, words, work) => {
      if (!answers.serve.has(wish)) return;
      try {
        await work();
      } catch (error) {
        troubles.push(`${words} was not made: ${error.message}`);
      }
    };
    await attempt('apt', 'The apt repository', () => api.post('/repo', { name: 'main', type: 'apt' }));
    await attempt('yum', 'The yum repository', () => api.post('/repo', { name: 'rpms', type: 'yum' }));
    await attempt('dir', 'The directory repository', () => api.post('/repo', { name: 'files', type: 'dir' }));
    await attempt('product', 'The product', () => api.put('/product/create', { name: 'first-product' }));
    const key = await api.put('/register', { admin: true }).catch(() => null);
    done(key, troubles);
  }

  function done(key, troubles) {
    replace(where, 'Step 4 of 4');
    replace(heading, `Welcome, ${state.user.username}`);
    replace(body, troubles.map((text) => notice('warn', text)),
      key && h('div', { class: 'stack stack-tight' }, h('h2', null, 'Your first API token'), h('p', { class: 'muted' }, 'For scripts and build servers. It is shown this once; more can be made any time under Keys.'), snippet({ label: 'API token', language: 'text', text: key })),
      dropzone({ label: 'Drop a file to begin', hint: 'or choose one', onfiles: (files) => { take(files); go('#/upload'); } }),
      h('div', { class: 'actions' }, button(key ? 'I have stored it, go on' : 'Go on', { look: 'primary', onclick: () => go('#/', { replace: true }) })));
    heading.focus();
  }

  show(false);
  return frame(card);
}

/** How this server is reached, as this browser sees it. */
function reached() {
  const secure = location.protocol === 'https:';
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  return h('div', { class: 'stack' },
    h('p', null, 'You reach it at'), snippet({ label: 'This address', language: 'text', text: location.origin }),
    local && notice('info', 'This address works on this machine only. Other machines use its name or its address in the network, with the same port.'),
    secure ? notice('ok', 'The connection is encrypted, as winget needs it.') : notice('info', 'The connection is plain HTTP. apt, dnf and downloads work with it: packages are checked by signature and digest. winget takes HTTPS only. It is switched on where the server is started, now or later: --tls-listen 0.0.0.0:8443 makes a certificate authority of your own, and the address /tls tells each machine how to trust it; --tls-cert and --tls-key take a certificate you have.'),
    h('p', { class: 'muted small' }, 'A fixed public address for links is set at the start of the server, by --public-url or PACKHOUSE_PUBLIC_URL.'));
}
