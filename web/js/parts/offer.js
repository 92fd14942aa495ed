// Offers an artifact that is here already through another door, without a second upload.
import { h, replace } from '../dom.js';
import { api } from '../api.js';
import { count } from '../format.js';
import { announce } from './toast.js';
import { state } from '../state.js';
import { button } from './button.js';
import { drawer } from './drawer.js';
import { check, field, form, side } from './field.js';
import { notice } from './notice.js';
import { apps, axes, isVersion, multipart, recognise } from '../data/apps.js';

/** Kinds of files that winget can install. */
const INSTALLERS = new Set(['msi', 'msix', 'exe', 'zip']);

/** The doors that can take an artifact by its SHA-256, with what they ask for. */
export async function doorsFor(artifact, signal) {
  const none = (error) => {
    if (error.name === 'AbortError') throw error;
    return null;
  };
  const [repos, products, programs] = await Promise.all([api.get('/repo', { signal, quiet: true }).catch(none), api.get('/product/list', { signal, quiet: true }).catch(none), apps(signal).catch(none)]);
  const wanted = { deb: 'apt', rpm: 'yum' }[artifact.kind];
  const found = [];
  if (repos && Object.keys(repos).length) {
    const all = await Promise.all(Object.keys(repos).slice(0, 200).map((name) => api.get(`/repo/${encodeURIComponent(name)}`, { signal }).catch(none)));
    const fitting = all.filter((repo) => repo && (repo.type === 'dir' || repo.type === wanted));
    fitting.sort((a, b) => (b.type === wanted) - (a.type === wanted) || a.name.localeCompare(b.name));
    if (fitting.length) found.push({ id: 'repo', label: 'Repository', repos: fitting });
  }
  if (products) found.push({ id: 'product', label: 'Product version', products });
  if (programs?.length && artifact.kind !== 'refpack') found.push({ id: 'app', label: 'App release', apps: programs.map((one) => one.AppName).sort((a, b) => a.localeCompare(b)), axes: await axes(signal) });
  if (INSTALLERS.has(artifact.kind) && state.user.operator) found.push({ id: 'winget', label: 'Windows package' });
  return found;
}

export async function addToRepo(name, digest) {
  return api.patch(`/repo/${encodeURIComponent(name)}/packages`, { [digest]: true });
}

/** A version of a product out of an artifact that is here: a text part `sha256` in place of the file. */
export async function addToProduct(product, version, digest, fileName) {
  const body = new FormData();
  body.set('product', product);
  body.set('version', version);
  body.set('sha256', digest);
  if (fileName) body.set('filename', fileName);
  return api.post('/product/upload', body);
}

/** A file of an app's release out of an artifact that is here: a text part `sha256`, with the name it is to have. */
export async function addToRelease(values, digest, fileName) {
  const body = multipart(values);
  body.append('sha256', `${digest}  ${fileName}`);
  return api.post('/upload', body);
}

export async function offerDrawer(artifact) {
  const doors = await doorsFor(artifact);
  const done = await drawer({ title: `Offer ${artifact.name}`, body: (close) => {
    if (!doors.length) return notice('info', 'No door can take this file yet.', 'Make a repository or a product first; then come back.');
    const box = h('div', { class: 'stack' });
    const draw = (id) => {
      const door = doors.find((one) => one.id === id);
      if (door.id === 'winget') {
        replace(box, h('p', { class: 'muted' }, 'What the installer says of itself is filled in; you check it.'), h('div', { class: 'actions' }, button('Describe the package…', { look: 'primary', onclick: () => close('winget') }), button('Cancel', { onclick: () => close() })));
        return;
      }
      const shown = { repo: () => repoForm(artifact, door.repos, close), product: () => productForm(artifact, door.products, close), app: () => releaseForm(artifact, door, close) };
      replace(box, shown[door.id]());
    };
    const choice = field({ label: 'Through', name: 'door', type: 'select', options: doors.map((one) => [one.id, one.label]), onchange: (event) => draw(event.target.value) });
    draw(doors[0].id);
    return h('div', { class: 'stack' }, h('p', { class: 'muted' }, 'The file is stored once, however many doors offer it.'), doors.length > 1 ? choice : h('p', null, h('strong', null, doors[0].label)), box);
  } });
  if (done !== 'winget') return done;
  const { describe, factsOf } = await import('./installer.js');
  return describe({ facts: factsOf(artifact), guessed: { name: artifact.name, version: artifact.version ?? '', arch: artifact.arch ?? '' }, kind: artifact.kind, bytes: { sha256: artifact.digest } });
}

/** Adds several artifacts to one repository; what does not fit its type is refused by the server as a whole. */
export async function addManyDrawer(rows) {
  const names = Object.keys(await api.get('/repo'));
  const repos = (await Promise.all(names.slice(0, 200).map((name) => api.get(`/repo/${encodeURIComponent(name)}`).catch(() => null)))).filter(Boolean);
  const fits = (repo) => repo.type === 'dir' || rows.every((row) => ({ deb: 'apt', rpm: 'yum' })[row.kind] === repo.type);
  const fitting = repos.filter(fits);
  return drawer({ title: `Add ${count(rows.length, 'artifact')} to a repository`, body: (close) => {
    if (!fitting.length) return notice('info', repos.length ? 'No repository takes these together: apt takes deb, yum takes rpm, a directory takes everything.' : 'There is no repository yet. Make one under Repositories; then come back.');
    const repo = field({ label: 'Repository', name: 'repo', type: 'select', options: fitting.map((one) => [one.name, `${one.name} (${one.type})`]) });
    return form({ fields: [repo], submit: 'Add', busy: 'Publishing…', cancel: () => close(), onsubmit: async (values) => {
      await api.patch(`/repo/${encodeURIComponent(values.repo)}/packages`, Object.fromEntries(rows.map((row) => [row.digest, true])));
      announce(`${count(rows.length, 'artifact')} added to ${values.repo}`);
      close(true);
    } });
  } });
}

function repoForm(artifact, repos, close) {
  const repo = field({ label: 'Repository', name: 'repo', type: 'select', options: repos.map((one) => [one.name, `${one.name} (${one.type})`]) });
  return form({ fields: [repo], submit: 'Add to the repository', busy: 'Publishing…', cancel: () => close(), onsubmit: async (values) => {
    await addToRepo(values.repo, artifact.digest);
    announce(`Added to ${values.repo}`);
    close(true);
  } });
}

function productForm(artifact, products, close) {
  const name = field({ label: 'Product', name: 'product', required: true, list: 'offer-products', hint: products.length ? 'One that exists, or a new name.' : 'The name of a new product.' });
  const version = field({ label: 'Version', name: 'version', required: true, value: artifact.version ?? '' });
  const node = form({ fields: [name, h('datalist', { id: 'offer-products' }, products.slice(0, 500).map((one) => h('option', { value: one }))), version], submit: 'Add the version', busy: 'Adding…', cancel: () => close(), onsubmit: async (values) => {
    if (!products.includes(values.product)) await api.put('/product/create', { name: values.product });
    await addToProduct(values.product, values.version, artifact.digest, artifact.file);
    announce(`${values.product} ${values.version} is there`);
    close(true);
  } });
  return node;
}

function releaseForm(artifact, door, close) {
  const names = (kind) => door.axes[kind].map((one) => one.name);
  const said = recognise(artifact.file, names('platform'), names('arch'));
  const wanted = (artifact.name ?? '').toLowerCase();
  const pick = (label, name, list, value) => list.length > 0 && field({ label, name, type: 'select', options: list, value: value || list[0] });
  const app = field({ label: 'App', name: 'app_name', type: 'select', options: door.apps, value: door.apps.find((one) => one.toLowerCase() === wanted) ?? door.apps[0] });
  const version = field({ label: 'Version', name: 'version', required: true, value: isVersion(artifact.version ?? '') ? artifact.version : said.version, hint: 'One that exists takes the file as one more; a new one becomes a release.', validate: (text) => (isVersion(text.trim()) ? null : 'Numbers joined by dots, at most six, like 1.4.0.') });
  const rest = [pick('Channel', 'channel', names('channel')), pick('Platform', 'platform', names('platform'), said.platform), pick('Architecture', 'arch', names('arch'), said.arch)].filter(Boolean);
  const publish = check({ label: 'Publish at once', name: 'publish', hint: 'Off keeps a draft: nobody is told of it until you publish.' });
  return form({ fields: [side(app, version), rest.length > 0 && side(...rest), publish], submit: 'Add to the release', busy: 'Adding…', cancel: () => close(), onsubmit: async (values) => {
    // Left out, it stays as it is in a release that is there.
    const { publish: now, ...asked } = values;
    await addToRelease({ ...asked, version: asked.version.trim(), ...(now && { publish: true }) }, artifact.digest, artifact.file);
    announce(`${artifact.file} is a file of ${asked.app_name} ${asked.version.trim()}`);
    close(true);
  } });
}
