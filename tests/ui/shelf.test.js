// What is offered, let go and taken back: undo in place of a question, one file through several doors, the catalog's orders.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Browser, Server, waitFor } from './harness.js';
import { form, refpack } from './seed.js';
import { Yard } from './clients.js';

let server;
let browser;
let api;
let yard;
before(async () => {
  yard = new Yard();
  [browser, server] = await Promise.all([Browser.start(), Server.start()]);
  api = await server.signIn();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
  yard?.end();
});

const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex');
const post = (where, body) => api.json(where, { method: 'POST', body });
/** Bytes under a name, in a repository. */
const put = (name, bytes, repo) => api.json(`/package?filename=${encodeURIComponent(name)}${repo ? `&repo=${repo}` : ''}`, { method: 'POST', body: new Blob([bytes]) });
/** A page on which messages stay: however slow the machine is, Undo is still there when the test comes to it. */
async function open() {
  const page = await browser.open(server);
  await page.addInitScript(() => {
    const real = globalThis.setTimeout;
    globalThis.setTimeout = (work, pause, ...rest) => real(work, pause >= 6000 ? 3_600_000 : pause, ...rest);
  });
  return page;
}
const undo = (page, words) => page.locator('.toast').filter({ hasText: words }).getByRole('button', { name: 'Undo' });

test('packages that leave a repository come back by one click, under the names they had', async () => {
  await post('/repo', { name: 'left', type: 'dir' });
  for (const name of ['one.txt', 'two.txt']) await put(name, `bytes of ${name}`, 'left');
  // One content under two names is one package.
  const twice = digestOf('bytes of one.txt');
  await api.json('/repo/left/packages', { method: 'PATCH', body: { [twice]: { filenames: ['one.txt', 'deep/other.txt'] } } });
  const before_ = await api.json('/repo/left/packages');
  const index = async () => (await api.json('/repo/left/index.json')).files.map(({ filename, shasum, size }) => ({ filename, shasum, size }));
  const files = await index();
  assert.equal(files.length, 3);
  const page = await open();
  await page.visit('#/repositories/left');
  await page.getByLabel('Pick all rows shown').check();
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByText('No package yet').waitFor();
  assert.deepEqual(await index(), []);
  await page.settle();
  await page.judge('undo-remove');
  await undo(page, '2 packages removed from left').click();
  await page.getByRole('link', { name: 'two.txt', exact: true }).waitFor();
  assert.deepEqual(await api.json('/repo/left/packages'), before_);
  assert.deepEqual(await index(), files);
  assert.equal(await page.locator('.toast').filter({ hasText: 'removed' }).count(), 0);
  await page.close_();
});

test('an archived version of a RefPack is offered again, and the other way round', async () => {
  const pack = (version) => refpack({ id: 'geo/undo', version, title: 'Undone' }, [{ id: 'a', name: 'Here' }]);
  for (const version of ['1.0.0', '1.1.0']) await post('/packages', form({}, [['file', 'pack.refpack.zip', pack(version)]]));
  const archived = async (version) => (await api.json('/packages/geo%2Fundo/versions')).versions.find((one) => one.version === version).isArchived;
  const page = await open();
  await page.visit('#/refpacks/geo%2Fundo?tab=versions');
  await page.getByRole('button', { name: 'Archive 1.1.0' }).click();
  await page.getByRole('button', { name: 'Offer 1.1.0 again' }).waitFor();
  assert.equal(await archived('1.1.0'), true);
  await undo(page, '1.1.0 is archived').click();
  await page.getByRole('button', { name: 'Archive 1.1.0' }).waitFor();
  assert.equal(await archived('1.1.0'), false);
  await page.getByRole('button', { name: 'Archive 1.0.0' }).click();
  await page.getByRole('button', { name: 'Offer 1.0.0 again' }).click();
  await undo(page, '1.0.0 is offered again').click();
  await page.getByRole('button', { name: 'Offer 1.0.0 again' }).waitFor();
  assert.equal(await archived('1.0.0'), true);
  await page.close_();
});

test('a release that is no longer published is published again by one click', async () => {
  await post('/app/create', form({ data: { app: 'Undone' } }));
  await post('/upload', form({ data: { app_name: 'Undone', version: '1.0', publish: true } }, [['file', 'undone.bin', 'bytes']]));
  const published = async () => (await api.json('/search?app_name=Undone')).apps[0].Published;
  const page = await open();
  await page.visit('#/apps/Undone/-/1.0');
  const published_ = page.getByRole('switch', { name: 'Published' });
  await published_.uncheck();
  await page.locator('.page-head').getByText('Draft').waitFor();
  assert.equal(await published(), false);
  await undo(page, 'Undone 1.0 is no longer published').click();
  await page.locator('.page-head').getByText('Published').waitFor();
  assert.equal(await published(), true);
  assert.equal(await published_.isChecked(), true);
  await page.close_();
});

test('what undoing fails with is said', async () => {
  await post('/repo', { name: 'lost', type: 'dir' });
  await put('lost.txt', 'bytes that are lost', 'lost');
  const page = await open();
  await page.visit('#/repositories/lost');
  await page.getByLabel('Pick lost.txt').check();
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByText('No package yet').waitFor();
  await page.settle();
  await api.json('/repo/lost', { method: 'DELETE' });
  await undo(page, 'lost.txt removed from lost').click();
  await page.locator('.toast').filter({ hasText: /there is no repo/i }).waitFor();
  await page.close_();
});

test('a file that is here becomes a file of an app release, without a second upload', async () => {
  for (const [kind, name] of [['channel', 'stable'], ['channel', 'beta'], ['arch', 'amd64'], ['arch', 'arm64'], ['platform', 'linux'], ['platform', 'windows']]) await post(`/${kind}/create`, { [kind]: name });
  await post('/app/create', form({ data: { app: 'Sorter' } }));
  const bytes = `bytes of the sorter ${'.'.repeat(3000)}`;
  await put('sorter-2.4.1-linux-arm64.AppImage', bytes);
  const digest = digestOf(bytes);
  const page = await browser.open(server);
  const sent = [];
  page.on('request', (request) => { if (new URL(request.url()).pathname === '/upload') sent.push(request.postData() ?? ''); });
  await page.visit(`#/artifact/${digest}`);
  await page.getByRole('button', { name: 'Offer through another door…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Through').selectOption({ label: 'App release' });
  await dialog.getByLabel('App', { exact: true }).selectOption('Sorter');
  assert.equal(await dialog.getByLabel('Version').inputValue(), '2.4.1');
  assert.equal(await dialog.getByLabel('Platform').inputValue(), 'linux');
  assert.equal(await dialog.getByLabel('Architecture').inputValue(), 'arm64');
  await dialog.getByLabel('Channel').selectOption('beta');
  await dialog.getByLabel('Publish at once').check();
  await page.judge('offer-release');
  await dialog.getByRole('button', { name: 'Add to the release' }).click();
  await page.getByRole('heading', { name: 'Offered through 2 doors' }).waitFor();
  assert.equal(sent.length, 1);
  assert.ok(!sent[0].includes('bytes of the sorter'), 'the bytes stay where they are');
  const { apps } = await api.json('/search?app_name=Sorter');
  assert.deepEqual([apps.length, apps[0].Version, apps[0].Channel, apps[0].Published, apps[0].Artifacts.length], [1, '2.4.1', 'beta', true, 1]);
  assert.deepEqual([apps[0].Artifacts[0].SHA256, apps[0].Artifacts[0].Platform, apps[0].Artifacts[0].Arch], [digest, 'linux', 'arm64']);
  // Told to a client, with the same bytes.
  const told = await (await fetch(`${server.base}/checkVersion?app_name=Sorter&version=1.0.0&channel=beta&platform=linux&arch=arm64&owner=${server.owner.username}`)).json();
  assert.equal(told.update_available, true);
  const link = Object.values(told).find((value) => typeof value === 'string' && value.startsWith('http'));
  assert.equal(await (await fetch(link)).text(), bytes);
  // A version that cannot be is refused beside its field.
  await page.getByRole('button', { name: 'Offer through another door…' }).click();
  await dialog.getByLabel('Through').selectOption({ label: 'App release' });
  await dialog.getByLabel('Version').fill('latest');
  await dialog.getByRole('button', { name: 'Add to the release' }).click();
  await dialog.getByText('Numbers joined by dots, at most six, like 1.4.0.').first().waitFor();
  assert.equal(sent.length, 1);
  await page.close_();
});

test('a package dropped into a new repository leads on to the lines that set a machine up', async () => {
  const page = await open();
  await page.visit('#/repositories');
  await page.getByRole('button', { name: 'New repository' }).first().click();
  const dialog = page.getByRole('dialog');
  // What is right for most is not asked.
  assert.equal(await dialog.getByLabel('Suite').isVisible(), false);
  await dialog.getByLabel('Name', { exact: true }).fill('onwards');
  await dialog.getByText('Suite, component, architectures').click();
  await dialog.getByLabel('Suite').fill('');
  await dialog.getByText('Suite, component, architectures').click();
  await dialog.getByRole('button', { name: 'Create repository' }).click();
  // A folded field that is wrong is unfolded.
  await dialog.getByText('Some options are not right yet.').waitFor();
  await dialog.getByLabel('Suite').fill('stable');
  await dialog.getByRole('button', { name: 'Create repository' }).click();
  await page.getByRole('heading', { level: 1, name: 'onwards' }).waitFor();
  await page.getByRole('button', { name: 'Add packages' }).first().click();
  await dialog.getByText('The catalog has no deb file yet.').waitFor();
  assert.equal(await dialog.getByRole('button', { name: 'Set up a machine' }).count(), 0);
  await dialog.locator('input[type=file]').setInputFiles(yard.deb('onward', '1.0'));
  await dialog.getByRole('button', { name: 'Set up a machine' }).click();
  await page.getByRole('tabpanel', { name: 'Set up a machine' }).getByText('apt install onward').waitFor();
  await page.close_();
});

test('the catalog goes by size from the largest, page by page', async () => {
  for (let at = 0; at < 60; at += 1) await put(`sized-${at}.bin`, `sized ${at} ${'x'.repeat(1000 * ((at * 37) % 60))}`);
  const page = await open();
  await page.visit('#/catalog?q=sized');
  const size = page.getByRole('columnheader', { name: 'Size' });
  await size.getByRole('button').click();
  const first = () => page.locator('main tbody th a').first().textContent();
  // 37 × 23 is 11 more than a multiple of 60; the largest is where 37 × n is 59 more.
  const largest = `sized-${[...Array(60).keys()].find((at) => (at * 37) % 60 === 59)}.bin`;
  await waitFor('the largest first', async () => (await first()) === largest);
  assert.equal(await size.getAttribute('aria-sort'), 'descending');
  assert.match(new URL(page.url()).hash, /sort=-size/);
  await page.getByRole('button', { name: 'Show more' }).click();
  await page.getByText('60 rows shown').waitFor();
  const names = await page.locator('main tbody th a').allTextContents();
  assert.deepEqual(names, [...Array(60).keys()].sort((a, b) => (b * 37) % 60 - (a * 37) % 60).map((at) => `sized-${at}.bin`));
  // The address carries it.
  await page.reload();
  await page.settle();
  assert.equal(await first(), largest);
  await page.close_();
});

test('files of indexes are never among the latest uploads', async () => {
  const tree = yard.place('mirror');
  const rpm = yard.rpm('mirrored', '1.0');
  copyFileSync(rpm, path.join(tree, path.basename(rpm)));
  writeFileSync(path.join(tree, 'groups.xml'), '<?xml version="1.0"?><comps><group><id>core</id><name>Core</name><packagelist><packagereq type="mandatory">mirrored</packagereq></packagelist></group></comps>');
  execFileSync('createrepo_c', ['--quiet', '-g', 'groups.xml', tree]);
  await post('/upstream?wait=60', { name: 'mirror', type: 'yum', path: tree });
  await waitFor('the sync', async () => (await api.json('/upstream/mirror')).status === 'ok');
  for (const [name, type] of [['debs', 'apt'], ['rpms', 'yum'], ['plain', 'dir']]) await post('/repo', { name, type });
  await api.json('/repo/rpms/packages', { method: 'PUT', body: { sync: { name: 'mirror', type: 'upstream' } } });
  await put('note.txt', 'a note', 'plain');
  const page = await open();
  await page.visit('#/');
  const latest = await page.locator('section.card', { has: page.getByRole('heading', { name: 'Latest uploads' }) }).getByRole('listitem').getByRole('link').allTextContents();
  assert.equal(latest[0], 'note.txt');
  assert.ok(latest.includes('mirrored'), latest.join());
  assert.deepEqual(latest.filter((name) => /Packages|Release|repomd|primary|filelists|other\.|SHA256SUMS|index\.json|groups|comps|key\.asc|\.repo$|\.sources$|\.list$/.test(name)), []);
  await page.close_();
});
