// The way to HTTPS, for whoever reads this over plain HTTP: nothing when the addresses shown are encrypted.
import { h } from '../dom.js';
import { base } from '../state.js';

export function wayToHttps() {
  if (/^https:/i.test(base())) return null;
  return h('details', { class: 'disclosure' }, h('summary', null, 'How does this server get HTTPS?'),
    h('div', { class: 'stack small' },
      h('p', null, 'It is switched on where the server is started. With ', h('code', null, '--tls-listen 0.0.0.0:8443'), ' it makes a certificate authority of its own, and ', h('a', { href: '/tls', target: '_blank', rel: 'noopener' }, '/tls'), ' then tells each kind of machine how to trust it. A certificate you have is taken by ', h('code', null, '--tls-cert'), ' and ', h('code', null, '--tls-key'), '.'),
      h('p', null, 'Open this page by that HTTPS address afterwards, and the lines above name it.')));
}
