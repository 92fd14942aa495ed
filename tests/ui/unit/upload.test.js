// What files are by their first bytes, what their names tell, which doors fit them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { doorsOf, guess, kindOf } from '../../../web/js/upload.js';

const bytes = (...list) => new Uint8Array(list);
const text = (string) => new TextEncoder().encode(string);

test('kinds by their first bytes', () => {
  const cases = [[text('!<arch>\ndebian-binary   17'), 'a.bin', 'deb'], [bytes(0xed, 0xab, 0xee, 0xdb), 'a', 'rpm'], [bytes(0xd0, 0xcf, 0x11, 0xe0), 'a.msi', 'msi'], [text('MZ\u0090'), 'a.exe', 'exe'], [text('PK\u0003\u0004'), 'a.msix', 'msix'], [text('PK\u0003\u0004'), 'a.nupkg', 'nupkg'], [text('PK\u0003\u0004'), 'a.zip', 'zip'], [text('PK\u0003\u0004'), 'a.refpack', 'refpack'], [bytes(0x1f, 0x8b), 'a.tar.gz', 'tar'], [bytes(0x1f, 0x8b), 'a.gz', 'file'], [bytes(), 'a.deb', 'file'], [text('hello'), 'x', 'file']];
  for (const [head, name, kind] of cases) assert.equal(kindOf(head, name), kind, name);
});

test('names tell name, version, platform and architecture', () => {
  const cases = [
    ['hello_2.10-3_amd64.deb', { name: 'hello', version: '2.10-3', arch: 'amd64', platform: 'linux' }],
    ['tool-1.4-1.x86_64.rpm', { name: 'tool', version: '1.4-1', arch: 'amd64', platform: 'linux' }],
    ['MyApp-Setup-1.2.0-arm64.exe', { name: 'MyApp', version: '1.2.0', arch: 'arm64', platform: 'windows' }],
    ['myapp-1.2.0-win32-x64.zip', { name: 'myapp', version: '1.2.0', arch: 'amd64', platform: 'windows' }],
    ['App_v2.0.dmg', { name: 'App', version: '2.0', arch: '', platform: 'darwin' }],
    ['readme', { name: 'readme', version: '', arch: '', platform: '' }],
  ];
  for (const [file, expected] of cases) assert.deepEqual(guess(file), expected, file);
});

test('the fitting doors come first', () => {
  const available = { repos: [{ name: 'a', type: 'apt' }, { name: 'y', type: 'yum' }, { name: 'd', type: 'dir' }], products: [], apps: ['x'], winget: true };
  const ids = (...kinds) => doorsOf(kinds, available).map((door) => door.id);
  assert.equal(ids('deb')[0], 'repo-apt');
  assert.equal(ids('rpm')[0], 'repo-yum');
  assert.equal(ids('msi')[0], 'winget');
  assert.equal(ids('refpack')[0], 'refpack');
  assert.ok(ids('zip').includes('refpack') && ids('zip')[0] === 'winget');
  assert.ok(!ids('deb', 'rpm').includes('repo-apt') && ids('deb', 'rpm').includes('repo-dir'));
  assert.deepEqual(doorsOf(['file'], {}).map((door) => door.id), ['product']);
  assert.deepEqual(doorsOf([], available).filter((door) => door.id === 'product'), []);
});
