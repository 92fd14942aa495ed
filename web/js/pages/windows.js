// Windows packages: a shelf like a store, and the two lines that let machines install from it.
import { h, icon, replace } from '../dom.js';
import { count } from '../format.js';
import { go, link } from '../router.js';
import { base, state } from '../state.js';
import { markOf } from '../parts/appmark.js';
import { badge } from '../parts/badge.js';
import { button, linkButton } from '../parts/button.js';
import { drawer } from '../parts/drawer.js';
import { empty, nothingFits } from '../parts/empty.js';
import { field, form } from '../parts/field.js';
import { card, pageHead } from '../parts/page.js';
import { snippet } from '../parts/snippet.js';
import { announce } from '../parts/toast.js';
import { addPackage, packages, settings } from '../data/winget.js';
import { wayToHttps } from '../parts/https.js';
import { winget } from '../snippets.js';

export const title = 'Windows packages';
const PAGE = 60;

export async function render(ctx) {
  const [list, known] = await Promise.all([packages(ctx.signal), settings(ctx.signal)]);
  const head = pageHead({
    title, lead: 'What winget installs from this server.',
    actions: [linkButton('Clients', '#/windows/clients', { icon: 'server' }), linkButton('Settings', '#/windows/settings', { icon: 'gear' }), button('New package', { look: 'primary', icon: 'plus', onclick: newPackage })],
  });
  const setup = card('Let a Windows machine install from here', {}, winget(base(), { tenant: state.user.owner, auth: known.CLIENT_AUTHENTICATION === '1' }, list[0]?.PACKAGE_ID ?? 'ID').map((one) => snippet(one)), wayToHttps(),
    known.CLIENT_AUTHENTICATION === '1' && h('p', { class: 'hint small' }, 'Clients must sign in: each machine has its own token, made on the page ', h('a', { href: '#/windows/clients' }, 'Clients'), '.'));
  if (list.length === 0) {
    return h('div', { class: 'page' }, head, h('div', { class: 'card' }, empty({ icon: 'windows', title: 'No Windows package yet', text: 'A package is a program with its versions; each version has installers for one or more architectures.', action: button('New package', { look: 'primary', icon: 'plus', onclick: newPackage }) })), setup);
  }
  const grid = h('div', { class: 'grid' });
  const rest = h('div');
  let shown = PAGE;
  const search = h('input', { class: 'input', type: 'search', 'aria-label': 'Find a package', placeholder: 'Name, id or publisher', oninput: () => { shown = PAGE; draw(); } });
  const draw = () => {
    const words = search.value.trim().toLowerCase();
    const fits = list.filter((one) => `${one.PACKAGE_ID} ${one.PACKAGE_NAME} ${one.PACKAGE_PUBLISHER}`.toLowerCase().includes(words));
    replace(grid, fits.slice(0, shown).map(tile));
    grid.hidden = fits.length === 0;
    replace(rest, fits.length === 0 && nothingFits(`No package matches “${search.value.trim()}”`, () => { search.value = ''; draw(); search.focus(); }), fits.length > shown && button(`Show more of ${count(fits.length, 'package')}`, { onclick: () => { shown += PAGE; draw(); } }));
  };
  draw();
  return h('div', { class: 'page' }, head, list.length > 6 && h('div', { class: 'searchline' }, icon('search'), search), grid, rest, setup);
}

function tile(one) {
  return h('a', { class: 'card', href: link('/windows/:id', { id: one.PACKAGE_ID }) },
    h('div', { class: 'with-kind' }, markOf(one.PACKAGE_NAME, one.PACKAGE_LOGO), h('div', { class: 'grow' }, h('h2', { class: 'clip' }, one.PACKAGE_NAME), h('div', { class: 'muted small clip' }, one.PACKAGE_PUBLISHER))),
    one.PACKAGE_DESCRIPTION && h('p', { class: 'hint clip-2' }, one.PACKAGE_DESCRIPTION),
    h('div', { class: 'row spread' }, h('span', { class: 'row' }, one.VERSIONS.length ? h('strong', { class: 'number' }, one.VERSIONS[0]) : h('span', { class: 'muted small' }, 'No installer yet'), one.PACKAGE_ACTIVE !== '1' && badge('Hidden', 'warn')), h('span', { class: 'muted small' }, count(new Set(one.VERSIONS).size, 'version'))));
}

async function newPackage() {
  await drawer({ title: 'New Windows package', body: (close) => form({
    fields: [
      field({ label: 'Id', name: 'package_id', required: true, hint: 'Publisher.Program, as winget --id takes it. It cannot be changed later.', validate: (text) => /^[^\s\\/:*?"<>|]{1,128}$/.test(text.trim()) && !/^\.|\.$|\.\./.test(text.trim()) ? null : 'No blanks and none of \\ / : * ? " < > |, no dot at an end and no two dots together.' }),
      field({ label: 'Name', name: 'package_name', required: true }),
      field({ label: 'Publisher', name: 'package_publisher', required: true }),
      field({ label: 'Description', name: 'package_description', type: 'textarea' }),
      field({ label: 'Logo', name: 'Logo', type: 'file', accept: 'image/png,image/jpeg', hint: 'PNG or JPEG.' }),
    ],
    submit: 'Create package', busy: 'Creating…', cancel: () => close(),
    onsubmit: async (values) => {
      const id = values.package_id.trim();
      await addPackage({ ...values, package_id: id, Logo: values.Logo ?? undefined }).catch((error) => { throw error.status === 401 && /already/i.test(error.message) ? Object.assign(error, { field: 'package_id', message: `There is a package ${id} already.` }) : error; });
      announce(`${id} created`);
      close();
      go(link('/windows/:id', { id }));
    },
  }) });
}
