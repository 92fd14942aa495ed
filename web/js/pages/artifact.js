// One artifact: what it is, every door it is offered through, how to offer it through another one, what happened to it.
import { h, icon } from '../dom.js';
import { api } from '../api.js';
import { go, link } from '../router.js';
import { bytes, count, instant } from '../format.js';
import { card, facts, pageHead } from '../parts/page.js';
import { badge, kind } from '../parts/badge.js';
import { digest as digestPart, size, time } from '../parts/digest.js';
import { button, busy, linkButton } from '../parts/button.js';
import { snippets } from '../parts/snippet.js';
import { notice } from '../parts/notice.js';
import { announce } from '../parts/toast.js';
import { trailList } from '../parts/trail.js';
import { ways } from '../parts/ways.js';
import { notFetched } from '../parts/packages.js';
import { packageAddress, packageNamed, versionOf } from '../data/repos.js';
import { door, letGo } from '../doors.js';

export const title = 'Artifact';

export async function render(ctx, { digest }) {
  // A list of packages knows which of them are not here.
  const listed = ctx.query.has('listed') ? await packageNamed(digest, ctx.signal) : null;
  if (listed?.present === false) return elsewhere(ctx, listed);
  const shown = await api.get(`/ui/api/artifacts/${encodeURIComponent(digest)}`, { signal: ctx.signal });
  ctx.title(shown.name);
  ctx.crumbs([['Catalog', '#/catalog'], [shown.name]]);
  const download = button('Download', { icon: 'download', onclick: () => busy(download, 'Preparing…', async () => {
    const { address } = await api.post(`/ui/api/artifacts/${digest}/link`, {});
    const anchor = h('a', { href: address, download: shown.file });
    anchor.click();
    announce('The download has begun', { quiet: true });
  }).catch((error) => announce(error.message)) });
  const offer = button('Offer through another door…', { look: 'primary', icon: 'plus', onclick: async () => {
    const { offerDrawer } = await import('../parts/offer.js');
    if (await offerDrawer(shown)) ctx.refresh();
  } });
  // Who has held it longest brought it, unless that one let go.
  const [first] = [...shown.holders].sort((a, b) => instant(a.since) - instant(b.since));
  const doors = shown.holders.filter((one) => one.kind !== 'repo-index');
  return h('div', { class: 'page' },
    pageHead({
      title: shown.name, before: kind(shown.kind, 'large'),
      badges: [shown.version && badge(shown.version, 'accent', { plain: true }), shown.arch && badge(shown.arch), shown.public ? badge('public', 'info', { plain: true }) : badge('not public')],
      lead: [bytes(shown.size), ' · came ', time(shown.created), first && ` by ${first.by}`, ' as ', h('code', null, shown.file)],
      actions: [download, offer],
    }),
    h('div', { class: 'row' }, h('span', { class: 'muted' }, 'SHA-256'), digestPart(shown.digest, { full: true })),
    h('div', { class: 'aside' },
      h('div', { class: 'stack' },
        h('h2', null, `Offered through ${count(doors.length, 'door')}`),
        doors.map((one) => holder(one, shown, ctx)),
        doors.length > 1 && notice('info', `${count(doors.length, 'door')} offer this file. It stays until all of them let go.`),
        card('Check a copy', {}, h('p', { class: 'hint' }, 'Compare a downloaded file with this digest.'), snippets(checks(shown), 'check'))),
      h('div', { class: 'stack' }, told(shown), shown.history.length > 0 && card('History', {}, trailList(shown.history)))));
}

/** A package that upstreams list and that was never fetched. */
function elsewhere(ctx, one) {
  ctx.title(one.name);
  ctx.crumbs([['Repositories', '#/repositories'], [one.name]]);
  const places = [...Object.keys(one.upstreams).map((name) => [name, '/upstreams/:name', 'upstream']), ...Object.keys(one.repos).map((name) => [name, '/repositories/:name', 'repository'])];
  return h('div', { class: 'page' },
    pageHead({
      title: one.name, before: kind(one.type, 'large'), lead: [bytes(one.size), ' · ', h('code', null, one.filename)],
      badges: [one.version && badge(versionOf(one), 'accent', { plain: true }), one.arch && badge(one.arch), notFetched()],
      actions: [linkButton('Fetch and download', packageAddress(one.shasum), { icon: 'download', download: one.filename })],
    }),
    h('div', { class: 'row' }, h('span', { class: 'muted' }, 'SHA-256'), digestPart(one.shasum, { full: true })),
    notice('info', 'It is listed, and its bytes are still with its upstream. They come when somebody asks for them, are checked against this digest, and stay.'),
    card('Listed in', {}, h('ul', { class: 'lines' }, places.map(([name, page, word]) => h('li', null, h('a', { href: link(page, { name }) }, name), ` (${word})`)))));
}

function holder(one, shown, ctx) {
  const release = letGo(one, shown.digest) && mayLetGo(one, shown, ctx.user) && button(`Let go: ${label_(one)}`, { look: 'icon', icon: 'unlock', onclick: async () => {
    const { releaseOne } = await import('../parts/release.js');
    if (!(await releaseOne(shown, one))) return;
    if (shown.holders.length > 1) ctx.refresh();
    else go('#/catalog', { replace: true });
  } });
  const { label, icon: picture, href, name } = door(one);
  return card(null, {},
    h('div', { class: 'with-kind' }, h('span', { class: 'kind' }, icon(picture), h('span', { class: 'sr' }, label)),
      h('div', { class: 'grow' }, h('h3', null, label, name && [' ', h('span', { class: 'muted' }, name)]), h('p', { class: 'small muted' }, 'since ', time(one.since), ` by ${one.by}`, one.file !== shown.file && [' · as ', h('code', null, one.file)])),
      one.public ? badge('public', 'info', { plain: true }) : null,
      href && linkButton('Open', href, { look: 'small' }), release),
    ways(one, shown));
}

function label_(one) {
  const { label, name } = door(one);
  return `${label} ${name}`.trim();
}

/** A file that a repository lists cannot lose the upload that brought it; other owners let go of what is theirs. */
function mayLetGo(one, shown, user) {
  const listed = shown.holders.some((other) => other.kind === 'repo' || other.kind === 'upstream');
  return (user.operator || one.by === `user:${user.username}`) && !(one.kind === 'package' && listed);
}

/** What the bytes say of themselves; nested facts become rows of their own. */
function told(shown) {
  const rows = [];
  const walk = (value, path) => {
    if (value === null || value === undefined || value === '') return;
    if (Array.isArray(value)) {
      if (value.length) rows.push([path, value.every((one) => typeof one !== 'object') ? value.join(', ') : h('code', null, JSON.stringify(value))]);
    } else if (typeof value === 'object') for (const [key, inner] of Object.entries(value)) walk(inner, path ? `${path} ${words(key)}` : words(key));
    else rows.push([path, String(value)]);
  };
  walk(shown.facts, '');
  return card('What the file says', {}, facts([...rows.map(([name, value]) => [name.charAt(0).toUpperCase() + name.slice(1), value]), ['Size', size(shown.size)]]));
}

function words(key) {
  return key.replaceAll('_', ' ').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

function quoted(text) {
  return /^[\w.+,:@%/=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function checks(shown) {
  return [
    { id: 'sh', label: 'Linux, macOS', language: 'sh', text: `echo ${quoted(`${shown.digest}  ${shown.file}`)} | sha256sum -c` },
    { id: 'ps', label: 'Windows', language: 'powershell', text: `(Get-FileHash -Algorithm SHA256 -LiteralPath '${shown.file.replaceAll("'", "''")}').Hash -eq '${shown.digest}'` },
  ];
}
