// Repositories in the browser: made, filled by dropping a package, shown in both themes and sizes, and installed from by
// apt with the lines the page offers.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Browser, Server } from './harness.js';

let server;
let browser;
const work = mkdtempSync(path.join(tmpdir(), 'packhouse-apt-'));
before(async () => {
  server = await Server.start();
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
  rmSync(work, { recursive: true });
});

function deb(name, version) {
  const root = path.join(work, `${name}-${version}`);
  mkdirSync(path.join(root, 'DEBIAN'), { recursive: true });
  mkdirSync(path.join(root, 'usr/share', name), { recursive: true });
  writeFileSync(path.join(root, 'DEBIAN/control'), `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: A tool\n`);
  writeFileSync(path.join(root, 'usr/share', name, 'version'), version);
  const file = path.join(work, `${name}_${version}_all.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', root, file]);
  return file;
}

/** apt in a root of its own. */
function apt(root, ...words) {
  const conf = path.join(root, 'apt.conf');
  const env = { PATH: process.env.PATH, APT_CONFIG: conf, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' };
  return execFileSync('apt-get', ['-q', '-y', ...words], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function aptRoot() {
  const root = path.join(work, 'root');
  for (const part of ['etc/apt/sources.list.d', 'etc/apt/preferences.d', 'etc/apt/trusted.gpg.d', 'etc/apt/auth.conf.d', 'var/lib/apt/lists/partial', 'var/cache/apt/archives/partial', 'var/log/apt', 'var/lib/dpkg/info', 'var/lib/dpkg/updates']) mkdirSync(path.join(root, part), { recursive: true });
  writeFileSync(path.join(root, 'var/lib/dpkg/status'), '');
  writeFileSync(path.join(root, 'apt.conf'), `Dir "${root}";\nDir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\nDir::State::status "${root}/var/lib/dpkg/status";\nDir::Bin::dpkg "/usr/bin/dpkg";\nDir::Bin::methods "/usr/lib/apt/methods";\nAPT::Architecture "amd64";\nAPT::Architectures { "amd64"; };\nAPT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::http::Proxy "DIRECT";\nDPkg::Options { "--root=${root}"; "--force-not-root"; "--force-unsafe-io"; "--log=/dev/null"; };\nDPkg::Path "";\n`);
  return root;
}

test('an apt repository: made, a package dropped into it, installed by apt', async () => {
  const page = await browser.open(server);
  await page.visit('#/repositories');
  await page.judge('repositories-empty');
  await page.getByRole('button', { name: 'New repository' }).first().click();
  await page.locator('dialog').getByLabel('Name', { exact: true }).fill('tools');
  await page.judge('repository-new');
  await page.getByRole('button', { name: 'Create repository' }).click();
  await page.getByRole('heading', { level: 1, name: 'tools' }).waitFor();

  await page.visit('#/upload');
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: /Drop files here/ }).click()]);
  await chooser.setFiles(deb('greeter', '1.0'));
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  await page.getByText('Done').waitFor();
  await page.judge('upload-to-repository');
  await page.close_();

  const root = aptRoot();
  const sources = await fetch(`${server.base}/repo/tools/packhouse.sources`);
  assert.equal(sources.status, 200);
  writeFileSync(path.join(root, 'etc/apt/sources.list.d/tools.sources'), await sources.text());
  apt(root, 'update');
  apt(root, 'install', 'greeter');
  assert.equal(readFileSync(path.join(root, 'usr/share/greeter/version'), 'utf8'), '1.0');
});

test('an upstream that is a directory: copied, shown, published', async () => {
  const folder = path.join(work, 'vendor');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'read me.txt'), 'hello');
  const api = await server.signIn();
  const make = (address, body) => api(address, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal((await make('/upstream?wait=30', { name: 'vendor', type: 'dir', path: folder })).status, 201);
  assert.equal((await make('/repo', { name: 'files', type: 'dir' })).status, 201);
  assert.equal((await make('/repo', { name: 'rpms', type: 'yum' })).status, 201);
  for (const size of ['wide', 'phone']) {
    for (const theme of ['light', 'dark']) {
      const page = await browser.open(server, { size, theme });
      for (const [name, address] of [
        ['repositories', '#/repositories'], ['repository', '#/repositories/tools'], ['repository-setup', '#/repositories/tools?tab=setup'],
        ['repository-files', '#/repositories/tools?tab=files'], ['repository-dir', '#/repositories/files'], ['repository-yum', '#/repositories/rpms?tab=setup'], ['upstream', '#/upstreams/vendor'],
      ]) {
        await page.visit(address);
        await page.judge(name);
      }
      await page.close_();
    }
  }
});

test('an upstream whose packages come at first use', async () => {
  const text = 'fetched when it is asked for';
  const sum = createHash('sha256').update(text).digest('hex');
  const source = createServer((request, answer) => {
    const found = { '/SHA256SUMS': `${sum}  late.txt\n`, '/late.txt': text }[request.url];
    answer.writeHead(found ? 200 : 404, { 'Content-Length': Buffer.byteLength(found ?? '') }).end(found);
  });
  await new Promise((resolve) => { source.listen(0, '127.0.0.1', resolve); });
  try {
    const page = await browser.open(server);
    await page.visit('#/repositories');
    await page.getByRole('button', { name: 'New upstream' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name', { exact: true }).fill('late');
    await dialog.getByLabel('Type').selectOption('dir');
    await dialog.getByLabel('Source').fill(`http://127.0.0.1:${source.address().port}/`);
    await dialog.getByLabel('Fetch packages').selectOption('At first use');
    await page.judge('upstream-on-demand-new');
    await dialog.getByRole('button', { name: 'Create and sync' }).click();
    await page.locator('.page-head').getByText('1 of them not fetched yet').waitFor();
    await page.getByRole('tab', { name: 'Contents' }).click();
    await page.locator('.badge', { hasText: 'Not fetched yet' }).waitFor();
    await page.judge('upstream-on-demand');
    await page.getByRole('link', { name: 'late.txt' }).click();
    await page.getByRole('heading', { level: 1, name: 'late.txt' }).waitFor();
    await page.judge('package-not-fetched');
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Fetch and download' }).click()]);
    assert.equal(readFileSync(await saved.path(), 'utf8'), text);
    await page.visit('#/upstreams/late');
    await page.locator('.page-head').getByText('Fetched at first use').waitFor();
    assert.equal((await (await fetch(`${server.base}/upstream/late`)).json()).absent, 0);
    await page.visit(`#/artifact/${sum}`);
    await page.getByRole('heading', { name: 'Copy of an upstream late' }).waitFor();
    await page.close_();
  } finally {
    source.closeAllConnections();
    source.close();
  }
});

test('a repository that follows an upstream', async () => {
  const page = await browser.open(server);
  await page.visit('#/repositories/files?tab=settings');
  await page.getByLabel('Source', { exact: true }).selectOption('upstream vendor');
  await page.judge('repository-follow');
  await page.locator('form', { has: page.getByLabel('Source', { exact: true }) }).getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Follows upstream vendor').waitFor();
  await page.close_();
  const end = Date.now() + 30_000;
  for (;;) {
    const { packages, followed } = await (await fetch(`${server.base}/repo/files`)).json();
    if (packages === 1 && followed.at) break;
    assert.ok(Date.now() < end, 'the first copy was not made');
    await new Promise((go) => setTimeout(go, 50));
  }
  const listed = await (await fetch(`${server.base}/repo/files/index.json`)).json();
  assert.deepEqual(listed.files.map((file) => file.filename), ['read me.txt']);
});

test('a bundle is exported, refused, believed and imported in the browser', async () => {
  const other = await Server.start();
  try {
    const file = path.join(work, 'tools.zip');
    const page = await browser.open(server);
    await page.visit('#/repositories/tools');
    await page.getByRole('button', { name: 'Export…' }).click();
    await page.judge('repository-export');
    const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save the bundle' }).click()]);
    await saved.saveAs(file);
    assert.match(saved.suggestedFilename(), /^tools-\d+\.zip$/);
    await page.close_();

    const there = await browser.open(other);
    await there.visit('#/repositories');
    await there.getByRole('button', { name: 'Import a bundle' }).click();
    const choose = async () => {
      const [chooser] = await Promise.all([there.waitForEvent('filechooser'), there.getByRole('button', { name: /Drop a bundle/ }).click()]);
      await chooser.setFiles(file);
    };
    there.excuse(/status of 400/);
    await choose();
    await there.getByText(/not trusted here/).waitFor();
    await there.getByText('Servers whose bundles are believed').click();
    await there.getByLabel('Certificate of the other server').fill(await (await fetch(`${server.base}/key.asc`)).text());
    await there.getByRole('button', { name: 'Believe its bundles' }).click();
    await there.getByText(/Packhouse <repo@/).waitFor();
    await there.judge('bundle-import');
    await there.getByRole('button', { name: 'Try again' }).click();
    await there.getByText(/is published with/).waitFor();
    await there.getByRole('button', { name: 'Open the repository' }).click();
    await there.getByRole('heading', { level: 1, name: 'tools' }).waitFor();
    await there.getByText('greeter', { exact: true }).first().waitFor();
    await there.close_();
  } finally {
    await other.stop();
  }
});

test('snapshots are taken, compared, gone back to and deleted', async () => {
  const page = await browser.open(server);
  await page.visit('#/repositories/tools?tab=snapshots');
  await page.getByRole('button', { name: 'Take a snapshot' }).first().click();
  await page.locator('dialog').getByLabel('Name', { exact: true }).fill('before');
  await page.getByRole('button', { name: 'Take the snapshot' }).click();
  await page.getByRole('link', { name: 'before', exact: true }).waitFor();
  const api = await server.signIn();
  const change = await api('/repo/tools/packages', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{}' });
  assert.equal(change.status, 200);
  await page.visit('#/repositories');
  await page.visit('#/repositories/tools?tab=snapshots');
  await page.getByRole('button', { name: 'Compare with before' }).click();
  await page.getByText('1 package only in before').waitFor();
  await page.judge('repository-difference');
  await page.locator('dialog').getByRole('button', { name: 'Close' }).last().click();
  await page.getByRole('button', { name: 'Roll back to before' }).click();
  await page.getByText('1 package comes back').waitFor();
  await page.locator('dialog').getByRole('button', { name: 'Roll back', exact: true }).click();
  await page.getByRole('tab', { name: 'Packages' }).click();
  await page.getByText('greeter', { exact: true }).first().waitFor();
  await page.getByRole('tab', { name: 'Snapshots' }).click();
  await page.judge('repository-snapshots');
    // What is done with a snapshot stands in one line, below the word that heads it.
    const gaps = await page.getByRole('table', { name: /^Snapshots of/ }).evaluate((table) => [...table.querySelectorAll('tbody td:last-child')].map((cell) => {
      const buttons = [...cell.querySelectorAll('button')].map((one) => one.getBoundingClientRect());
      return [Math.round(cell.getBoundingClientRect().right - parseFloat(getComputedStyle(cell).paddingInlineEnd) - buttons.at(-1).right), Math.round(Math.max(...buttons.map((one) => one.top + one.height / 2)) - Math.min(...buttons.map((one) => one.top + one.height / 2)))];
    }));
    assert.deepEqual(gaps.flat().filter((gap) => Math.abs(gap) > 1), []);
  await page.getByRole('button', { name: 'Delete before' }).click();
  await page.getByRole('button', { name: 'Delete snapshot' }).click();
  await page.getByText('No snapshot yet').waitFor();
  await page.close_();
});
