// Fills a server with data that looks like a box in use, with awkward names among it; used by the tests of the pages.
//
//   const seeded = await seed(server)        → { apps, products, refpacks, token }        parts that exist are filled
import { crc32 } from 'node:zlib';
import assert from 'node:assert/strict';

/** Names that must come back as text. */
export const UGLY = {
  script: '<script>alert(1)</script>',
  rtl: 'حزمة البرامج ‏العربية',
  emoji: 'box 📦 of 🧪 things',
  long: `${'x'.repeat(120)}`,
};

/** A ZIP of stored files, as small as can be. */
export function zip(files) {
  const parts = [];
  const central = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const path = Buffer.from(name);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(20, 4);
    head.writeUInt16LE(0x0800, 6);
    head.writeUInt32LE(crc32(bytes), 14);
    head.writeUInt32LE(bytes.length, 18);
    head.writeUInt32LE(bytes.length, 22);
    head.writeUInt16LE(path.length, 26);
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt16LE(20, 4);
    head.copy(record, 6, 4, 28);
    record.writeUInt32LE(at, 42);
    parts.push(head, path, bytes);
    central.push(record, path);
    at += 30 + path.length + bytes.length;
  }
  const middle = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(middle.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, middle, end]);
}

export function form(fields, files = []) {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) for (const one of [].concat(value)) made.append(name, typeof one === 'object' ? JSON.stringify(one) : one);
  for (const [part, name, content] of files) made.append(part, new Blob([content]), name);
  return made;
}

/** A RefPack as bytes. */
export function refpack(manifest, data, more = {}) {
  const whole = { createdUtc: '2026-05-20T10:00:00Z', idField: 'id', nameField: 'name', ...manifest };
  return zip({ 'data.meta.json': JSON.stringify(whole), 'data.json': JSON.stringify(data), ...more });
}

async function post(ask, path, body) {
  return ask.json(path, { method: 'POST', body });
}

export async function seedApps(ask, server) {
  for (const name of ['stable', 'beta', 'nightly']) await post(ask, '/channel/create', { channel: name });
  for (const name of ['amd64', 'arm64']) await post(ask, '/arch/create', { arch: name });
  await post(ask, '/platform/create', { platform: 'linux' });
  await post(ask, '/platform/create', { platform: 'macos', updaters: [{ type: 'manual', default: true }, { type: 'sparkle', default: false }] });
  await post(ask, '/platform/create', { platform: 'windows', updaters: [{ type: 'manual', default: true }, { type: 'squirrel_windows', default: false }, { type: 'electron-builder', default: false }] });
  const create = (data) => post(ask, '/app/create', form({ data }));
  await create({ app: 'Warehouse Scanner', description: 'Reads labels on the floor and books goods in and out.' });
  await create({ app: 'acme-agent', description: UGLY.script });
  await create({ app: 'Inventory', description: `${UGLY.rtl} ${UGLY.emoji}`, private: true });
  await create({ app: 'a-program-with-a-name-as-long-as-names-may-be-so-that-every-card-and-heading-has-to-cope-with-it-100', description: UGLY.long });
  const upload = async (data, ...names) => post(ask, '/upload', form({ data: { app_name: 'Warehouse Scanner', channel: 'stable', ...data } }, names.map((name) => ['file', name, `${name} ${'.'.repeat(2000)}`])));
  const log = '## New\n\n- Scans **twice** as fast\n- Works with gloves\n\n## Fixed\n\n1. The beep\n2. [Known issues](https://example.org/issues)\n\n> Needs a restart.\n\n<script>alert(1)</script>\n\n```sh\nscanner --selftest\n```';
  for (const [version, publish, critical] of [['1.0.0', true, false], ['1.1.0', true, false], ['1.2.0', true, true], ['1.3.0', true, false], ['1.4.0', false, false]]) {
    await upload({ version, platform: 'linux', arch: 'amd64', publish, critical, changelog: log }, `scanner-${version}-linux-amd64.deb`, `scanner-${version}-linux-amd64.AppImage`);
    await upload({ version, platform: 'linux', arch: 'arm64' }, `scanner-${version}-linux-arm64.deb`);
    await upload({ version, platform: 'windows', arch: 'amd64' }, `Scanner Setup ${version}.exe`);
  }
  await upload({ version: '1.5.0', channel: 'beta', platform: 'macos', arch: 'arm64', publish: true, rollout: 25 }, 'scanner-1.5.0-macos-arm64.dmg');
  await upload({ app_name: 'acme-agent', version: '0.9', platform: 'linux', arch: 'amd64', publish: true, changelog: UGLY.script }, `agent ${UGLY.emoji}.tar.gz`);
  const seen = [['1.3.0', 14], ['1.2.0', 5], ['1.1.0', 3], ['1.0.0', 1]];
  let device = 0;
  for (const [version, devices] of seen) {
    for (let at = 0; at < devices; at += 1) {
      device += 1;
      const arch = device % 3 ? 'amd64' : 'arm64';
      const address = `${server.base}/checkVersion?app_name=Warehouse%20Scanner&version=${version}&channel=stable&platform=linux&arch=${arch}&owner=${server.owner.username}`;
      assert.equal((await fetch(address, { headers: { 'X-Device-ID': `device-${device}` } })).status, 200);
    }
  }
}

export async function seedProducts(ask, server) {
  const as = { headers: { 'X-Api-Token': server.token } };
  for (const name of ['toolchain', 'größe/lib ++', UGLY.script.replaceAll('/', '|'), UGLY.emoji]) await ask.json('/product/create', { method: 'PUT', body: { name } });
  for (const [version, file] of [['1.0.0', 'toolchain-1.0.0.tar.gz'], ['1.1.0', 'toolchain-1.1.0.tar.gz'], ['release/2.1', "it's $HOME.zip"]]) await post(ask, '/product/upload', form({ product: 'toolchain', version }, [['file', file, `${file} ${'.'.repeat(5000)}`]]));
  const token = await (await fetch(`${server.base}/register`, { method: 'PUT', ...as, body: '{"admin":false}' })).text();
  await ask.json('/product/modify/addToken', { method: 'PUT', body: { product: 'toolchain', token, permissions: { upload: true, download: true } } });
  return token;
}

export async function seedRefpacks(ask) {
  const push = (pack) => post(ask, '/packages', form({}, [['file', 'pack.refpack.zip', pack]]));
  const countries = Array.from({ length: 150 }, (_, at) => ({ id: `c${at}`, name: at === 3 ? UGLY.script : `Country ${at}`, population: at * 12345, tags: ['a', 'b'], flag: { shape: 'box', colours: 3 } }));
  const schema = { type: 'array', items: { type: 'object', required: ['id', 'name'], properties: { id: { type: 'string', description: 'Short code' }, name: { type: 'string' }, population: { type: 'integer', minimum: 0 }, tags: { type: 'array', items: { type: 'string' } }, flag: { type: 'object', properties: { shape: { enum: ['box', 'swallowtail'] }, colours: { type: 'integer' } } } } } };
  const manifest = { id: 'geo/country-codes', title: 'Country codes', description: 'Codes, names and people of the countries of a made-up world.', authors: ['Ann'], tags: ['countries', 'codes'], license: 'CC0-1.0' };
  const readme = '# Country codes\n\nA small **data set** with [a source](https://example.org).\n\n| Field | Meaning |\n|---|---|\n| `id` | short code |\n| `name` | name |\n\n![a picture](https://example.org/x.png)\n\n<script>alert(1)</script>';
  for (const version of ['1.0.0', '1.1.0', '2.0.0-rc.1']) {
    await push(refpack({ ...manifest, version }, countries, { 'data.schema.json': JSON.stringify(schema), 'data.readme.md': readme, 'data.changelog.json': JSON.stringify([{ version, date: '2026-05-20', description: 'First of its kind' }]) }));
  }
  await push(refpack({ id: 'plain', version: '0.1.0', title: UGLY.script, tags: [UGLY.emoji] }, [{ id: 1, name: UGLY.rtl }]));
  await push(refpack({ id: 'old-units', version: '0.1.0', title: 'Units of old', description: UGLY.long }, [{ id: 1, name: 'ell' }]));
  await post(ask, '/packages/old-units/archive');
}

export async function seedPeople(ask) {
  const { apps } = await ask.json('/app/list');
  const allowed = apps.slice(0, 2).map((app) => app.ID);
  await post(ask, '/user/create', { username: 'bob', password: 'correct horse battery', permissions: { apps: { upload: true, edit: true, download: true, allowed } } });
  await post(ask, '/user/create', { username: 'carol.with-a-name_that-goes-on-until-it-is-long@example.org', password: 'correct horse battery', permissions: {} });
  await post(ask, '/token/create', { name: 'Build server', allowed_apps: allowed });
}

export async function seed(server) {
  const ask = await server.signIn();
  await seedApps(ask, server);
  const token = await seedProducts(ask, server);
  await seedRefpacks(ask);
  await seedPeople(ask);
  await seedWindows(ask);
  return { ask, token };
}

/** Windows packages, where the server has that door. */
export async function seedWindows(ask) {
  const { tenant } = await ask.json('/ui/api/session');
  const at = (path) => `/cloud/client/api/${tenant}/${path}`;
  if ((await ask(at('get_packages'), { method: 'POST' })).status !== 200) return false;
  const logo = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  const add = (id, name, publisher, description, files = []) => post(ask, at('add_package'), form({ package_id: id, package_name: name, package_publisher: publisher, package_description: description }, files));
  await add('Contoso.Reader', 'Contoso Reader', 'Contoso', 'Reads what others write.', [['Logo', 'logo.png', logo]]);
  await add('Notepad++.Notepad++', 'Notepad++', 'Notepad++ Team', UGLY.script);
  await add('Empty.Shelf', UGLY.rtl, UGLY.emoji, UGLY.long);
  const upload = async (id, version, arch, type, name) => {
    const bytes = Buffer.from(`${name} ${version} ${arch} ${'.'.repeat(4000)}`);
    const done = await ask.json(at('upload_package_version'), { method: 'POST', headers: { 'X-File-ID': `${name}_${version.replaceAll('.', '')}${arch.length}`, 'Content-Range': `bytes 0-${bytes.length - 1}/${bytes.length}` }, body: bytes });
    await post(ask, at(`add_package_version/${encodeURIComponent(id)}`), form({ server_filename: done.server_filename, package_version: version, file_architect: arch, file_type: type, file_scope: 'machine', productcode: '{0F1E2D3C-0000-4000-8000-000000000001}' }));
  };
  for (const version of ['7.0', '7.1', '7.10']) for (const arch of ['x64', 'arm64']) await upload('Contoso.Reader', version, arch, 'MSI', `reader-${arch}.msi`);
  await upload('Notepad++.Notepad++', '8.6', 'x64', 'EXE', 'npp.exe');
  for (const name of ['desk-01', 'desk-02', 'line-7']) await post(ask, at('add_client'), form({ client_name: name }));
  return true;
}
