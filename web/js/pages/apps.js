// Apps: cards with the newest release of each channel and how many devices have it.
import { h, icon, replace } from '../dom.js';
import { api } from '../api.js';
import { ago, count, instant, percent } from '../format.js';
import { go, link } from '../router.js';
import { badge } from '../parts/badge.js';
import { button, linkButton } from '../parts/button.js';
import { drawer } from '../parts/drawer.js';
import { empty, nothingFits } from '../parts/empty.js';
import { check, field, form } from '../parts/field.js';
import { mark } from '../parts/appmark.js';
import { pageHead } from '../parts/page.js';
import { announce } from '../parts/toast.js';
import { apps, local, may, multipart, releases } from '../data/apps.js';

export const title = 'Apps';
const PAGE = 48;

export async function render(ctx) {
  const list = await apps(ctx.signal);
  const mayCreate = may(ctx.user, 'apps', 'create');
  const create = () => newApp();
  const head = pageHead({
    title,
    lead: 'Installed programs ask here whether there is a newer version of themselves.',
    actions: [linkButton('Channels, platforms, architectures', '#/app-axes', { icon: 'filter' }), mayCreate && button('New app', { look: 'primary', icon: 'plus', onclick: create })],
  });
  if (list.length === 0) {
    return h('div', { class: 'page' }, head, h('div', { class: 'card' }, empty({
      icon: 'apps', title: 'No app yet',
      text: mayCreate ? 'An app is a program of yours. Upload its builds here, and installed copies learn of the newest one.' : `${ctx.user.owner} has not given you any app yet.`,
      action: mayCreate && button('New app', { look: 'primary', icon: 'plus', onclick: create }),
      help: linkButton('Set up channels and platforms first', '#/app-axes', { look: 'quiet' }),
    })));
  }
  const grid = h('div', { class: 'grid' });
  const rest = h('div', { class: 'stack' });
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      entry.target.fill();
    }
  }, { rootMargin: '200px' });
  ctx.signal.addEventListener('abort', () => watcher.disconnect());
  let shown = PAGE;
  const search = h('input', { class: 'input', type: 'search', 'aria-label': 'Find an app', placeholder: 'Find an app', oninput: () => { shown = PAGE; draw(); } });
  const draw = () => {
    const words = search.value.trim().toLowerCase();
    const fits = list.filter((app) => `${app.AppName} ${app.Description}`.toLowerCase().includes(words));
    replace(grid, fits.slice(0, shown).map((app) => {
      const node = card(app, ctx);
      watcher.observe(node);
      return node;
    }));
    grid.hidden = fits.length === 0;
    replace(rest,
      fits.length === 0 && nothingFits(`No app matches “${search.value.trim()}”`, () => { search.value = ''; draw(); search.focus(); }),
      fits.length > shown && h('div', { class: 'row' }, button(`Show more of ${count(fits.length, 'app')}`, { onclick: () => { shown += PAGE; draw(); } })));
  };
  draw();
  return h('div', { class: 'page' }, head, list.length > 6 && h('div', { class: 'searchline' }, icon('search'), search), grid, rest);
}

function card(app, ctx) {
  const body = h('div', { class: 'stack stack-tight' }, h('span', { class: 'muted small' }, ' '));
  const node = h('a', { class: 'card', href: link('/apps/:app', { app: app.AppName }) },
    h('div', { class: 'with-kind' }, mark(app.AppName, local(app.Logo)), h('div', { class: 'grow' }, h('h2', { class: 'clip' }, app.AppName), app.Private && badge('Private', 'info'))),
    app.Description && h('p', { class: 'hint clip-2' }, app.Description), body);
  node.fill = async () => {
    body.setAttribute('aria-busy', 'true');
    try {
      const [found, seen] = await Promise.all([
        releases(app.AppName, { limit: 100, published: true }, ctx.signal),
        api.get('/telemetry', { query: { range: 'month', apps: app.AppName }, signal: ctx.signal }),
      ]);
      replace(body, newest(found.rows), devices(seen.summary));
    } catch (error) {
      if (error.name !== 'AbortError') replace(body, h('span', { class: 'muted small' }, error.message));
    } finally {
      body.removeAttribute('aria-busy');
    }
  };
  return node;
}

function newest(rows) {
  const best = new Map();
  for (const row of rows) if (!best.has(row.Channel)) best.set(row.Channel, row);
  if (best.size === 0) return h('p', { class: 'muted small' }, 'Nothing published yet');
  return h('ul', { class: 'stack stack-tight' }, [...best.values()].slice(0, 4).map((row) => h('li', { class: 'row spread' },
    h('span', { class: 'row' }, h('strong', { class: 'number' }, row.Version), row.Channel && badge(row.Channel)),
    h('span', { class: 'muted small' }, ago(instant(row.Updated_at))))));
}

function devices(summary) {
  if (!summary.unique_clients) return h('p', { class: 'muted small' }, 'No device has asked in the last 30 days');
  const words = `${percent(summary.clients_using_latest_version, summary.unique_clients)} of ${count(summary.unique_clients, 'device')} up to date`;
  const bar = h('div', { class: 'sharebar', 'aria-hidden': 'true' }, h('span', { vars: { width: `${(summary.clients_using_latest_version / summary.unique_clients) * 100}%` } }));
  return h('div', { class: 'stack stack-tight' }, bar, h('span', { class: 'muted small' }, words));
}

async function newApp() {
  await drawer({ title: 'New app', body: (close) => form({
    fields: [
      field({ label: 'Name', name: 'app', required: true, hint: 'Letters, digits, blanks, dots, dashes and underscores. Installed programs ask by this name.', validate: (text) => /^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,98}[A-Za-z0-9])?$/.test(text) ? null : 'Up to 100 letters, digits, blanks, dots, dashes and underscores; a letter or digit at both ends.' }),
      field({ label: 'Description', name: 'description', type: 'textarea' }),
      field({ label: 'Logo', name: 'file', type: 'file', accept: 'image/png,image/jpeg,image/gif,image/webp' }),
      check({ label: 'Private', name: 'private', hint: 'Downloads need a login. This cannot be changed later.' }),
    ],
    submit: 'Create app', busy: 'Creating…', cancel: () => close(),
    onsubmit: async ({ app, description, file, private: hidden }) => {
      await api.post('/app/create', multipart({ app, description, private: hidden }, file ? [file] : []));
      announce(`${app} created`);
      close();
      go(link('/apps/:app', { app }));
    },
  }) });
}
