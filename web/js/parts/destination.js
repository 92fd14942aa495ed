// Where should it go? The doors that fit the chosen files, the fields each one needs, facts filled in.
import { h, replace, uid } from '../dom.js';
import { api } from '../api.js';
import { link } from '../router.js';
import * as uploads from '../upload.js';
import { field, form, side, check } from './field.js';
import { notice } from './notice.js';

export function destination(available) {
  const items = [...uploads.waiting];
  const doors = uploads.doorsOf(items.map((one) => one.kind), available);
  const box = h('div', { class: 'stack' });
  const name = uid('door');
  const show = (id) => replace(box, FORMS[id.split('-')[0]](items, doors.find((door) => door.id === id), available));
  if (!doors.length) return notice('info', 'No door takes these files together. Remove some of them, or upload them one by one.');
  const choices = h('fieldset', { class: 'fields' }, h('legend', null, 'Where should it go?'), h('div', { class: 'doors' }, doors.map((door, index) => h('div', { class: 'check' },
    h('input', { type: 'radio', name, id: `${name}-${door.id}`, checked: index === 0, onchange: () => show(door.id) }), h('label', { for: `${name}-${door.id}` }, door.label)))));
  show(doors[0].id);
  return h('div', { class: 'stack' }, choices, box);
}

const raw = (task, progress, path, query) => api.upload(path, task.file, { query, headers: { 'Content-Type': 'application/octet-stream' }, progress, signal: task.abort.signal });

function parts(values, file, name = 'file') {
  const body = new FormData();
  // Text parts first: the server judges them before it reads the file.
  for (const [key, value] of Object.entries(values)) body.set(key, value);
  body.set(name, file, file.name);
  return body;
}

const FORMS = { repo: repoForm, package: packageForm, product: productForm, refpack: refpackForm, app: appForm, winget: wingetForm };
const submit = (items) => (items.length === 1 ? 'Upload' : `Upload ${items.length} files`);

function repoForm(items, door) {
  const repo = field({ label: 'Repository', name: 'repo', type: 'select', options: door.repos.map((one) => one.name) });
  return form({ fields: [repo], submit: submit(items), onsubmit: ({ repo: name }) => {
    uploads.send(items, { words: `to the repository ${name}`, href: link('/repositories/:name', { name }), next: ['Set up a machine', link('/repositories/:name', { name }, { tab: 'setup' })], work: (task, progress) => raw(task, progress, '/package', { filename: task.file.name, repo: name }) });
  } });
}

function packageForm(items) {
  return form({ fields: [h('p', { class: 'muted' }, 'The files are stored and kept. Any repository or product can offer them later, without a second upload.')], submit: submit(items), onsubmit: () => {
    uploads.send(items, { words: 'into the catalog', href: (task) => (task.result?.shasum ? link('/artifact/:digest', { digest: task.result.shasum }) : '#/catalog?held=package'), work: (task, progress) => raw(task, progress, '/package', { filename: task.file.name }) });
  } });
}

function productForm(items, door, { products }) {
  const [{ guessed }] = items;
  const known = uid('products');
  const product = field({ label: 'Product', name: 'product', required: true, value: products.includes(guessed.name) ? guessed.name : products.length === 1 ? products[0] : guessed.name, list: known, hint: 'One that exists, or the name of a new one.' });
  const version = field({ label: 'Version', name: 'version', required: true, value: guessed.version });
  return form({ fields: [side(product, version), h('datalist', { id: known }, products.slice(0, 500).map((one) => h('option', { value: one })))], submit: submit(items), busy: 'Preparing…', onsubmit: async (values) => {
    if (!products.includes(values.product)) {
      await api.put('/product/create', { name: values.product });
      products.push(values.product);
    }
    uploads.send(items, { words: `to ${values.product} ${values.version}`, href: link('/products/:name', { name: values.product }), work: (task, progress) => api.upload('/product/upload', parts(values, task.file), { progress, signal: task.abort.signal }) });
  } });
}

function refpackForm(items) {
  return form({ fields: [h('p', { class: 'muted' }, 'Name and version stand in the RefPack itself. It is checked before it is published: manifest, data against its schema, signature.')], submit: submit(items), onsubmit: () => {
    uploads.send(items, { words: 'to the RefPack registry', href: '#/refpacks', work: (task, progress) => api.upload('/packages', parts({}, task.file.name.endsWith('.zip') ? task.file : new File([task.file], `${task.file.name}.zip`)), { progress, signal: task.abort.signal }) });
  } });
}

async function named(path, key) {
  const found = await api.get(path).catch(() => null);
  const list = found?.[key] ?? Object.values(found ?? {}).find(Array.isArray) ?? [];
  return list.map((one) => Object.entries(one).find(([name]) => /name$/i.test(name))?.[1]).filter(Boolean);
}

/** The name of the list that means what was guessed: `win`, `Windows-x64` … */
function fitting(names, wanted) {
  const alike = { amd64: ['amd64', 'x64', 'x86_64'], arm64: ['arm64', 'aarch64'], 386: ['386', 'i386', 'x86', 'ia32'], windows: ['windows', 'win'], darwin: ['darwin', 'mac', 'osx'], linux: ['linux'] }[wanted] ?? [];
  return names.find((name) => alike.some((word) => name.toLowerCase().startsWith(word))) ?? '';
}

function appForm(items, door, { apps }) {
  const box = h('div', null, h('p', { class: 'muted', role: 'status' }, 'Looking up channels and platforms…'));
  Promise.all([named('/channel/list', 'channels'), named('/platform/list', 'platforms'), named('/arch/list', 'archs')]).then(([channels, platforms, archs]) => {
    const { guessed } = items[0];
    const app = field({ label: 'App', name: 'app_name', type: 'select', options: apps, value: apps.find((one) => one.toLowerCase() === guessed.name.toLowerCase()) ?? apps[0] });
    const version = field({ label: 'Version', name: 'version', required: true, value: guessed.version });
    const pick = (label, name, list, value) => list.length > 0 && field({ label, name, type: 'select', options: list, value: value || list[0] });
    const channel = pick('Channel', 'channel', channels, channels.find((one) => /stable|release/i.test(one)));
    const rows = items.map((item) => ({ item, platform: pick('Platform', 'platform', platforms, fitting(platforms, item.guessed.platform)), arch: pick('Architecture', 'arch', archs, fitting(archs, item.guessed.arch)) }));
    const several = platforms.length > 0 || archs.length > 0;
    const publish = check({ label: 'Publish at once', name: 'publish', hint: 'Off keeps a draft: nobody is told of it until you publish.' });
    replace(box, form({
      fields: [side(...[app, version, channel].filter(Boolean)), several && rows.map((row) => h('fieldset', { class: 'fields' }, h('legend', { dir: 'auto' }, row.item.file.name), side(...[row.platform, row.arch].filter(Boolean)))), publish],
      submit: submit(items),
      onsubmit: () => {
        const common = { app_name: app.value, version: version.value, publish: publish.value, ...(channel && { channel: channel.value }) };
        for (const row of rows) {
          const data = { ...common, ...(row.platform && { platform: row.platform.value }), ...(row.arch && { arch: row.arch.value }) };
          uploads.send([row.item], { words: `to ${data.app_name} ${data.version}${publish.value ? '' : ', as a draft'}`, href: link('/apps/:app/:channel/:version', { app: data.app_name, channel: data.channel || '-', version: data.version }), work: (task, progress) => api.upload('/upload', parts({ data: JSON.stringify(data) }, task.file), { progress, signal: task.abort.signal }) });
        }
      },
    }));
  });
  return box;
}

function wingetForm(items) {
  return form({ fields: [h('p', { class: 'muted' }, 'The installer is uploaded first, in pieces that survive a broken line. Then it says itself what it is, and you check that.')], submit: submit(items), onsubmit: async () => {
    const { sendInstaller, describeInstaller } = await import('./installer.js');
    uploads.send(items, { words: 'to the Windows packages', pausable: true, work: sendInstaller, describe: describeInstaller });
  } });
}
