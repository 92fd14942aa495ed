// What a file's name says of platform, architecture and version.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isVersion, local, may, recognise } from '../../../web/js/data/apps.js';

const PLATFORMS = ['windows', 'linux', 'macos'];
const ARCHS = ['amd64', 'arm64', 'x86'];

for (const [file, platform, arch, version] of [
  ['acme-1.4.0-linux-amd64.deb', 'linux', 'amd64', '1.4.0'],
  ['acme_1.4.0_arm64.deb', 'linux', 'arm64', '1.4.0'],
  ['acme-1.4.0-x86_64.AppImage', 'linux', 'amd64', '1.4.0'],
  ['Acme Setup 1.4.0.exe', 'windows', '', '1.4.0'],
  ['acme-win-x64-1.4.0.msi', 'windows', 'amd64', '1.4.0'],
  ['acme-1.4.0-win32.zip', 'windows', 'x86', '1.4.0'],
  ['Acme-1.4.0-arm64.dmg', 'macos', 'arm64', '1.4.0'],
  ['acme-darwin-aarch64-v2.10.zip', 'macos', 'arm64', '2.10'],
  ['acme-1.2-1.x86_64.rpm', 'linux', 'amd64', '1.2'],
  ['notes.txt', '', '', ''],
  ['<script>.deb', 'linux', '', ''],
]) {
  test(file, () => assert.deepEqual(recognise(file, PLATFORMS, ARCHS), { platform, arch, version }));
}

test('own names, and the only name there is', () => {
  assert.equal(recognise('tool-riscv64.tar.gz', ['linux'], ['riscv64', 'amd64']).arch, 'riscv64');
  assert.deepEqual(recognise('tool.bin', ['plc'], ['v2']), { platform: 'plc', arch: 'v2', version: '' });
});

test('versions', () => {
  for (const good of ['1', '1.2', '1-2-3', '0.0.10', '1.2.3.137', '1.2.0-beta.3']) assert.ok(isVersion(good), good);
  for (const bad of ['', 'v1', '1..2', '1.2.3.4.5.6.7', '1.2 ', 'latest']) assert.ok(!isVersion(bad), bad);
});

test('links are asked for at the page’s own server', () => {
  assert.equal(local('https://public.example/download?key=a/b&owner=c'), '/download?key=a/b&owner=c');
  assert.equal(local(''), null);
});

test('rights of team users', () => {
  const team = { role: 'team', permissions: { apps: { edit: true, upload: false, allowed: ['a'] } } };
  assert.deepEqual([may(team, 'apps', 'edit', 'a'), may(team, 'apps', 'edit', 'b'), may(team, 'apps', 'edit'), may(team, 'apps', 'upload', 'a'), may(team, 'channels', 'create')], [true, false, true, false, false]);
  assert.ok(may({ role: 'owner' }, 'apps', 'delete', 'x'));
});
