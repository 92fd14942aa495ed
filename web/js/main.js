// The frame and the way from an address to a page.
//
// A page is a module `pages/NAME.js` named by a line of router.js. It exports
//
//   export const title = 'Catalog';                       or (params) => text
//   export async function render(ctx, params) { … }       answers a node: usually h('div', { class: 'page' }, pageHead(…), …)
//
// and is given
//   ctx.query      URLSearchParams of the address          ctx.path     the address without it
//   ctx.tab(first) the tab the address names now, else the first
//   ctx.signal     aborted when the page is left           ctx.user     who is signed in (state.user)
//   ctx.every(ms, work)   polls while the page is open and the tab visible; ctx.refresh()   shows the page anew
//   ctx.again()                the same, if this page is still looked at: for what ends late
//   ctx.crumbs([['Apps', '#/apps'], ['acme']])             the line at the top; by default place and title
//   ctx.title('acme')                                      the window's title once the thing's name is known
// What it throws becomes the error page with "Try again". Lists fill themselves later (parts/table.js); a page whose
// first data takes longer than 150 ms shows a skeleton meanwhile.
import { h, icon, replace } from './dom.js';
import { ApiError, WORDS, api } from './api.js';
import { ROUTES, go, match } from './router.js';
import { sheet } from './sheet.js';
import { change, choice, choose, mayVisit, setBearer, state, storedBearer } from './state.js';
import { listen, shortcut } from './shortcuts.js';
import { announce, mountToasts } from './parts/toast.js';
import { failure, noAccess } from './parts/error.js';
import { late, skeleton } from './parts/skeleton.js';
import { menu, menuItem } from './parts/menu.js';
import { button } from './parts/button.js';
import { dropAnywhere } from './parts/dropzone.js';

const PLACES = [
  ['', [['/', 'Overview', 'home'], ['/catalog', 'Catalog', 'box']]],
  ['Deliver', [['/apps', 'Apps', 'apps'], ['/windows', 'Windows packages', 'windows'], ['/products', 'Products', 'tag'], ['/refpacks', 'RefPacks', 'book'], ['/repositories', 'Repositories', 'layers']]],
  ['Activity', [['/jobs', 'Jobs', 'activity'], ['/audit', 'Audit', 'list']]],
  ['Manage', [['/people', 'People', 'people'], ['/keys', 'Keys', 'key'], ['/storage', 'Storage', 'disk'], ['/settings', 'Settings', 'gear'], ['/about', 'About', 'info']]],
];
const BOTTOM = new Map([['/', 'Home'], ['/catalog', 'Catalog'], ['/apps', 'Apps'], ['/products', 'Products'], ['/repositories', 'Repos']]);
/** Pages that stand without the styles of lists. */
const PLAIN = new Set(['overview', 'setup', 'sign-in']);
const WHO = new Map(ROUTES.map((route) => [route.pattern, route.who]));

let frame;
let main;
let crumbs;
let bar;
let rail;
let bottom;
let account;
let finder;
let upload;
let leaving = new AbortController();
let turn = 0;
let shown = null;

function places() {
  return PLACES.map(([name, list]) => [name, list.filter(([address]) => mayVisit(WHO.get(address)))]).filter(([, list]) => list.length);
}

function build() {
  main = h('main', { id: 'main', tabindex: '-1' });
  crumbs = h('nav', { class: 'crumbs', 'aria-label': 'Where you are' });
  bar = h('div', { class: 'bar', role: 'alert' });
  rail = h('nav', { class: 'rail', 'aria-label': 'Main' });
  bottom = h('nav', { class: 'bottom', 'aria-label': 'Main, short' });
  finder = h('button', { type: 'button', class: 'finder', onclick: openPalette, 'aria-label': 'Search and go to', 'aria-keyshortcuts': 'Control+K' }, icon('search'), h('span', { 'aria-hidden': 'true' }, 'Search'), h('kbd', { 'aria-hidden': 'true' }, navigator.platform?.startsWith('Mac') ? '⌘ K' : 'Ctrl K'));
  upload = button('Upload', { look: 'primary', icon: 'upload', onclick: () => go('#/upload') });
  account = menu(h('button', { type: 'button', class: 'button button-icon', 'aria-label': 'Account and theme' }, icon('user')), accountItems, 'Account and theme');
  const top = h('header', { class: 'topline' }, crumbs, finder, upload, account);
  frame = h('div', { class: 'frame frame-plain' }, rail, top, h('div', null, bar, main), bottom);
  document.body.append(h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); main.scrollIntoView(); } }, 'Skip to the content'), frame);
  mountToasts(document.body);
  addEventListener('scroll', () => top.toggleAttribute('data-scrolled', scrollY > 4), { passive: true });
}

function accountItems() {
  const theme = choice('theme', 'auto');
  return [
    h('div', { class: 'who' }, h('strong', null, state.user.username), h('div', { class: 'small muted' }, state.user.role === 'owner' ? 'Owner' : `Team user of ${state.user.owner}`)),
    [['auto', 'Theme of the system', 'auto'], ['light', 'Light', 'sun'], ['dark', 'Dark', 'moon']].map(([name, words, picture]) => menuItem(words, { icon: picture, checked: theme === name, onclick: () => setTheme(name) })),
    h('hr'),
    menuItem('Keyboard shortcuts', { icon: 'help', onclick: help }),
    menuItem('Sign out', { icon: 'exit', onclick: signOut }),
  ];
}

export function setTheme(name) {
  choose('theme', name === 'auto' ? null : name);
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

function drawPlaces() {
  const groups = places();
  const item = ([address, words, picture]) => h('a', { href: `#${address}`, data: { place: address } }, icon(picture), h('span', null, words));
  replace(rail, h('a', { class: 'brand', href: '#/' }, h('img', { src: '/ui/favicon.svg', alt: '' }), 'Packhouse'),
    groups.map(([name, list]) => h('div', { class: 'rail-group' }, name && h('h2', null, name), h('ul', { class: 'rail-list' }, list.map((one) => h('li', null, item(one)))))),
    h('p', { class: 'rail-foot' }, state.user ? `Version ${state.user.version}` : ''));
  const all = groups.flatMap(([, list]) => list);
  const short = all.filter(([address]) => BOTTOM.has(address)).map(([address, , picture]) => [address, BOTTOM.get(address), picture]);
  replace(bottom, short.map(item), h('button', { type: 'button', onclick: () => openMore(groups, item) }, icon('more'), h('span', null, 'More')));
  upload.hidden = !mayVisit('owner');
}

async function openMore(groups, item) {
  const { drawer } = await import('./parts/drawer.js');
  await drawer({ title: 'Go to', body: (close) => {
    const list = h('div', { class: 'stack', onclick: (event) => event.target.closest('a') && close() }, groups.map(([name, places]) => h('div', null, name && h('h3', { class: 'muted small' }, name), h('div', { class: 'more-list' }, places.map(item)))));
    mark(shown?.route?.place, list);
    return list;
  } });
}

// Its first opening fetches it; what is typed meanwhile belongs into its field.
async function openPalette() {
  const owner = mayVisit('owner');
  const list = places().flatMap(([name, all]) => all.map(([address, label, picture]) => ({ label, icon: picture, where: name, href: `#${address}` })));
  if (owner) list.push({ label: 'Upload files', icon: 'upload', where: 'Action', href: '#/upload' });
  list.push({ label: 'Keyboard shortcuts', icon: 'help', where: 'Action', run: help }, { label: 'Sign out', icon: 'exit', where: 'Action', run: signOut });
  if (!state.user) return;
  const typed = { text: '', enter: false };
  const hear = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.key.length > 1 && event.key !== 'Enter')) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.key === 'Enter') typed.enter = true;
    else typed.text += event.key;
  };
  addEventListener('keydown', hear, true);
  let closed;
  try {
    const { palette } = await import('./parts/palette.js');
    closed = palette(list, owner, typed);
  } finally {
    removeEventListener('keydown', hear, true);
  }
  await closed;
}

/** The list of shortcuts is fetched when it is asked for. */
async function help() {
  const parts = await import('./parts/help.js');
  await parts.help();
}

export async function signOut() {
  await api.post('/ui/api/sign-out', {}, { quiet: true }).catch(() => {});
  setBearer(null);
  announce('Signed out', { quiet: true });
  go('#/sign-in');
}

/** Reads who the stored login is; false when there is none that is valid. */
export async function loadSession() {
  const bearer = state.bearer ?? storedBearer();
  if (!bearer) return false;
  if (!state.bearer) change({ bearer });
  try {
    change({ user: await api.get('/ui/api/session', { quiet: true }) });
    drawPlaces();
    return true;
  } catch (error) {
    if (error.status !== 401) throw error;
    setBearer(null);
    return false;
  }
}

function mark(place, root = frame) {
  for (const anchor of root.querySelectorAll('[data-place]')) {
    if (anchor.dataset.place === place) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
}

function setTitle(text) {
  document.title = text ? `${text} · Packhouse` : 'Packhouse';
}

function setCrumbs(list) {
  replace(crumbs, h('ol', null, list.map(([words, href], index) => h('li', null, href && index < list.length - 1 ? h('a', { href }, words) : h('span', { 'aria-current': index === list.length - 1 ? 'page' : null }, words)))));
}

/** Shows the page of the address; the main column says that it is busy until the page stands. */
async function show() {
  turn += 1;
  const mine = turn;
  main.setAttribute('aria-busy', 'true');
  try {
    await draw(mine);
  } finally {
    if (mine === turn) main.removeAttribute('aria-busy');
  }
}

async function draw(mine) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const found = match(location.hash);
  let { route } = found;
  if (!state.user && route?.who !== 'open') {
    if (!(await ready())) return;
    if (mine !== turn) return;
  }
  frame.classList.toggle('frame-plain', route?.who === 'open');
  if (route?.page === 'overview' && !mayVisit('owner')) return go('#/apps', { replace: true });
  if (route && !mayVisit(route.who)) return place(mine, null, h('div', { class: 'page' }, noAccess(state.user?.owner)), 'No access');
  if (!route) return place(mine, null, nowhere(), 'Not found');
  const heading = words(route);
  setCrumbs(heading);
  const done = late(() => { if (mine === turn) replace(main, h('div', { class: 'page' }, skeleton('page'))); });
  try {
    const [page] = await Promise.all([import(`./pages/${route.page}.js`), PLAIN.has(route.page) || sheet('lists')]).catch(cutOff);
    if (mine !== turn) return;
    const title = typeof page.title === 'function' ? page.title(found.params) : page.title;
    setCrumbs(heading.at(-1)?.[0] === title ? heading : [...heading, [title]]);
    const node = await page.render(context(found, signal), found.params);
    done();
    await place(mine, found, node, title);
  } catch (error) {
    done();
    if (error.name === 'AbortError' || mine !== turn) return;
    if (error.status === 401 || error.status === 0 && !state.user) return;
    const gone = error.status === 404 ? 'There is no such thing' : undefined;
    await place(mine, found, h('div', { class: 'page' }, failure(error, error.status === 404 ? null : show, gone, 'h1')), 'Error');
  }
}

/** A part of the pages that cannot be fetched: the server is away. */
function cutOff(error) {
  if (!(error instanceof TypeError && /module|fetched/i.test(error.message))) throw error;
  api.onOffline();
  throw new ApiError(0, WORDS[0]);
}

/** Whether somebody is signed in; otherwise goes where that can be changed. */
async function ready() {
  try {
    if (await loadSession()) return true;
    const { open } = await api.get('/ui/api/setup', { quiet: true });
    const wanted = location.hash && location.hash !== '#/' ? `?to=${encodeURIComponent(location.hash)}` : '';
    go(open ? '#/setup' : `#/sign-in${wanted}`, { replace: true });
  } catch (error) {
    if (error.status) replace(main, failure(error, show, 'The server does not answer as it should', 'h1'));
    else replace(main, failure(error, show, 'The server cannot be reached', 'h1'));
  }
  return false;
}

function context(found, signal) {
  return {
    query: found.query,
    path: found.path,
    // Read when it is shown: a tab that was chosen while the page was fetched anew stays.
    tab: (first) => match(location.hash).query.get('tab') || first,
    signal,
    user: state.user,
    refresh: show,
    again: () => shown?.path === found.path && show(),
    title: setTitle,
    crumbs: setCrumbs,
    every(milliseconds, work) {
      // A look that takes longer than the pause is not joined by a second one.
      let looking = false;
      const timer = setInterval(async () => {
        if (document.visibilityState !== 'visible' || looking) return;
        looking = true;
        try {
          await work();
        } catch (error) {
          if (error.name !== 'AbortError') console.debug(error.message);
        } finally {
          looking = false;
        }
      }, milliseconds);
      signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    },
  };
}

function words(route) {
  if (route.page === 'overview') return [];
  for (const [, list] of PLACES) {
    const found = list.find(([address]) => address === route.place);
    if (found) return [[found[1], `#${found[0]}`]];
  }
  return [];
}

async function place(mine, found, node, title) {
  if (mine !== turn) return;
  const moved = shown?.path !== found?.path || !found;
  const first = shown === null;
  shown = found ?? { path: null };
  const within = main.contains(document.activeElement);
  if (!document.title.startsWith(`${title} `) || moved) setTitle(found?.ownTitle ?? title);
  replace(main, node);
  frame.hidden = false;
  mark(found?.route?.place);
  const heading = main.querySelector('h1, h2');
  if (moved && !first) scrollTo(0, 0);
  // Who was in the old page, and so stands nowhere now, goes on at the top of the new one.
  if (heading && (moved ? !first : within) && !main.contains(document.activeElement)) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

function nowhere() {
  return h('div', { class: 'page' }, h('div', { class: 'empty' }, icon('search'), h('h1', { tabindex: '-1' }, 'There is no such page'), h('p', null, 'The address may be mistyped, or the page has moved.'), h('div', { class: 'actions' }, h('a', { class: 'button button-primary', href: '#/' }, 'Go to the start'))));
}

// A server that went away: say so, and ask again with growing pauses until it is back.
let away = 0;

api.onOffline = () => {
  if (away) return;
  away = 1;
  const ask = async () => {
    replace(bar, icon('warn'), 'The server cannot be reached. Trying again…');
    const up = await fetch('/health', { cache: 'no-store', credentials: 'omit' }).then((answer) => answer.ok, () => false);
    if (up) return api.onOnline();
    away = Math.min(away * 2, 16);
    setTimeout(ask, away * 1000);
    return undefined;
  };
  setTimeout(ask, 1000);
  replace(bar, icon('warn'), 'The server cannot be reached. Trying again…');
};

api.onOnline = () => {
  if (!away) return;
  away = 0;
  replace(bar);
  announce('The server answers again');
};

api.onExpired = () => {
  setBearer(null);
  announce('Your session has ended. Sign in again.');
  go(`#/sign-in?to=${encodeURIComponent(location.hash)}`, { replace: true });
};

shortcut('mod+k', 'Search and go anywhere', () => state.user && openPalette());
shortcut('/', 'Search', () => {
  const field = main.querySelector('input[type="search"]');
  if (field) field.focus();
  else if (state.user) openPalette();
});
shortcut('u', 'Upload files', () => mayVisit('owner') && go('#/upload'));
shortcut('?', 'Keyboard shortcuts', () => state.user && help());

build();
listen();
addEventListener('hashchange', show);
dropAnywhere(async (files) => {
  const { take } = await import('./upload.js');
  take(files);
  go('#/upload');
}, () => mayVisit('owner'));
show();
