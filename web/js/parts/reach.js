// Every address this server answers at, as machines elsewhere, by name or on this machine alone can use it.
// `reach(found)` takes what GET /ui/api/addresses answered; the address of this page is marked.
import { h } from '../dom.js';
import { badge } from './badge.js';
import { copyButton } from './digest.js';
import { notice } from './notice.js';

const SORTS = [['network', 'In the network'], ['name', 'By the machine’s name, where the network knows it'], ['local', 'On this machine only']];

export function reach(found, here = location.origin) {
  const line = (url, secure) => h('li', { class: 'row' }, h('code', { class: 'wrap' }, url), copyButton(url, `the address ${url}`), secure && badge('HTTPS', 'ok', { plain: true }), url === here && badge('This page', 'info', { plain: true }));
  const group = ([sort, words]) => {
    const rows = found.rows.filter((row) => row.sort === sort);
    return rows.length > 0 && h('div', { class: 'stack stack-tight' }, h('p', { class: 'small muted' }, words), h('ul', { class: 'addresses' }, rows.map((row) => line(row.url, row.secure))));
  };
  const known = found.public === here || found.rows.some((row) => row.url === here);
  const far = found.public || found.rows.some((row) => row.sort !== 'local');
  return h('div', { class: 'stack' },
    found.public && h('div', { class: 'stack stack-tight' }, h('p', { class: 'small muted' }, 'Public address, which links and commands begin with'), h('ul', { class: 'addresses' }, line(found.public, found.public.startsWith('https:')))),
    !known && h('div', { class: 'stack stack-tight' }, h('p', { class: 'small muted' }, 'The address of this page'), h('ul', { class: 'addresses' }, line(here, here.startsWith('https:')))),
    SORTS.map(group),
    !far && notice('warn', 'Other machines cannot reach this server yet: it listens on this machine only.', 'Start it with --listen 0.0.0.0:8080 to be reached at every address of the machine.'));
}

/** What HTTPS does here, and how it is switched on. */
export function https(found) {
  if (found.https && found.ownRoot) return notice('ok', 'HTTPS is on, with a certificate authority of this server’s own.', h('p', null, 'Each machine trusts its root once: ', h('a', { href: '/tls', target: '_blank', rel: 'noopener' }, 'the lines for that'), '.'));
  if (found.https || location.protocol === 'https:') return notice('ok', 'HTTPS is on, as winget needs it.');
  return notice('info', 'The connection is plain HTTP. apt, dnf and downloads work with it: packages are checked by signature and digest. winget takes HTTPS only.', 'HTTPS is switched on where the server is started, now or later: --tls-listen 0.0.0.0:8443 makes a certificate authority of your own, and the address /tls tells each machine how to trust it; --tls-cert and --tls-key take a certificate you have.');
}
