// The last step of the setup: the first places are made, and how each is used is said.
import { h } from '../dom.js';
import { api } from '../api.js';
import { go } from '../router.js';
import { base, state } from '../state.js';
import { take } from '../upload.js';
import { multipart } from '../data/apps.js';
import { apt, directory, dnf, productUpload, updateCheck } from '../snippets.js';
import { button } from './button.js';
import { dropzone } from './dropzone.js';
import { notice } from './notice.js';
import { snippet, snippets } from './snippet.js';

/** Makes what was asked for; answers the first API token, or null, and what went wrong in words. */
export async function firstPlaces(serve) {
  const troubles = [];
  const attempt = async (wish, words, work) => {
    if (!serve.has(wish)) return;
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
  await attempt('app', 'The app', async () => {
    await api.post('/channel/create', { channel: 'stable' });
    await api.post('/app/create', multipart({ app: 'first-app', description: '', private: false }, []));
  });
  return { key: await api.put('/register', { admin: true }).catch(() => null), troubles };
}

export function welcome(serve, { key, troubles }) {
  return [troubles.map((text) => notice('warn', text)),
    key && h('div', { class: 'stack stack-tight' }, h('h2', null, 'Your first API token'), h('p', { class: 'muted' }, 'For scripts and build servers. It is shown this once. If you have none of these yet, you need not keep it: more can be made any time under Keys.'), snippet({ label: 'API token', language: 'text', text: key })),
    lines(serve, state.user),
    dropzone({ label: 'Drop a file to begin', hint: 'or choose one', onfiles: (files) => { take(files); go('#/upload'); } }),
    h('div', { class: 'actions' }, button(key ? 'I have stored it, go on' : 'Go on', { look: 'primary', onclick: () => go('#/', { replace: true }) }))];
}

/** The lines for what was chosen, for machines and build servers. */
function lines(serve, user) {
  const list = [
    serve.has('apt') && apt(base(), { name: 'main' })[0],
    serve.has('yum') && dnf(base(), { name: 'rpms' })[0],
    serve.has('dir') && { ...directory(base(), { name: 'files' })[0], label: 'Plain files' },
    serve.has('app') && updateCheck(base(), { app: 'first-app', channel: 'stable', owner: user.username }),
    serve.has('product') && productUpload(base(), { name: 'first-product' }),
  ].filter(Boolean);
  return list.length > 0 && h('div', { class: 'stack stack-tight' }, h('h2', null, 'Lines to use it'), h('p', { class: 'muted' }, 'They stand on each one’s page too, filled in with what you put there.'), snippets(list));
}
