// The Deliver pages, people and keys, of a box in use: every page in both themes and sizes, and their main actions.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Server } from './harness.js';
import { seed } from './seed.js';

const SCANNER = '#/apps/Warehouse%20Scanner';
const COUNTRIES = '#/refpacks/geo%2Fcountry-codes';
const PAGES = [
  ['apps', '#/apps'], ['app-axes', '#/app-axes'], ['app', SCANNER], ['app-files', `${SCANNER}?tab=artifacts`], ['app-devices', `${SCANNER}?tab=telemetry`], ['app-connect', `${SCANNER}?tab=connect`], ['app-settings', `${SCANNER}?tab=settings`], ['release', `${SCANNER}/stable/1.2.0`],
  ['products', '#/products'], ['product', '#/products/toolchain'], ['refpacks', '#/refpacks'], ['refpack', COUNTRIES], ['refpack-data', `${COUNTRIES}?tab=data`], ['refpack-schema', `${COUNTRIES}?tab=schema`], ['refpack-versions', `${COUNTRIES}?tab=versions`],
  ['people', '#/people'], ['keys', '#/keys'], ['windows', '#/windows'], ['windows-package', '#/windows/Contoso.Reader'], ['windows-clients', '#/windows/clients'], ['windows-settings', '#/windows/settings'],
];

describe('pages of a box in use', () => {
  let server;
  let browser;
  before(async () => {
    server = await Server.start();
    await seed(server);
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });

  for (const size of ['wide', 'phone']) {
    for (const theme of ['light', 'dark']) {
      test(`${size}, ${theme}`, async () => {
        const page = await browser.open(server, { size, theme });
        for (const [name, address] of PAGES) {
          await page.visit(address);
          await page.judge(name);
        }
        await page.close_();
      });
    }
  }

  test('a release of two platforms: dropped, recognised, published, offered', async () => {
    const page = await browser.open(server);
    await page.visit(SCANNER);
    await page.getByRole('button', { name: 'New release' }).click();
    await page.locator('dialog input[type=file]').setInputFiles([{ name: 'scanner-2.0.0-linux-amd64.deb', mimeType: 'application/octet-stream', buffer: Buffer.from('deb') }, { name: 'Scanner Setup 2.0.0 x64.exe', mimeType: 'application/octet-stream', buffer: Buffer.from('exe') }]);
    assert.equal(await page.getByLabel('Version').inputValue(), '2.0.0');
    assert.equal(await page.getByLabel('Platform of Scanner Setup 2.0.0 x64.exe').inputValue(), 'windows');
    assert.equal(await page.getByLabel('Architecture of scanner-2.0.0-linux-amd64.deb').inputValue(), 'amd64');
    await page.locator('dialog').getByLabel('Channel').selectOption('stable');
    await page.judge('new-release');
    await page.getByRole('button', { name: 'Create release' }).click();
    await page.getByRole('heading', { level: 1, name: 'Warehouse Scanner 2.0.0' }).waitFor();
    const ask = page.getByRole('button', { name: 'Ask', exact: true });
    await page.getByLabel('It has version').fill('1.3.0');
    await ask.click();
    await page.getByText('Up to date').waitFor();
    await page.getByRole('switch', { name: 'Published' }).click();
    await page.locator('.page-head').getByText('Published').waitFor();
    await ask.click();
    await page.getByText('Update available').waitFor();
    await page.judge('release-told');
    await page.close_();
  });

  test('a key is shown once, becomes a member, and a version is not replaced', async () => {
    const page = await browser.open(server);
    await page.visit('#/keys');
    await page.getByRole('button', { name: 'New key' }).click();
    await page.getByRole('button', { name: 'Create key' }).click();
    const raw = (await page.locator('dialog .snippet code').first().textContent()).trim();
    await page.judge('key-secret');
    await page.getByRole('button', { name: 'I have stored it' }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.settle();
    assert.ok(!(await page.content()).includes(raw));
    const { fingerprint } = await (await fetch(`${server.base}/fetch/${raw}`, { headers: { 'X-Api-Token': raw } })).json();
    await page.visit('#/products/toolchain');
    await page.getByRole('tab', { name: 'Members' }).click();
    await page.getByRole('button', { name: 'Add member' }).click();
    await page.locator('dialog select').selectOption(fingerprint);
    await page.locator('dialog').getByLabel('Upload').check();
    await page.locator('dialog').getByLabel('Download').uncheck();
    await page.locator('dialog').getByRole('button', { name: 'Add member' }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.settle();
    await page.getByRole('tab', { name: 'Members', selected: true }).waitFor();
    await page.getByText(fingerprint).waitFor();
    await page.judge('product-members');
    await page.getByRole('button', { name: 'Upload version' }).click();
    await page.locator('dialog').getByLabel('Version').fill('1.0.0');
    await page.locator('dialog input[type=file]').setInputFiles({ name: 'x.bin', mimeType: 'application/octet-stream', buffer: Buffer.from('other') });
    await page.locator('dialog').getByRole('button', { name: 'Upload', exact: true }).click();
    await page.getByText('versions are never replaced').last().waitFor();
    await page.close_();
  });

  test('a team user sees two apps, no way to delete, and the access page', async () => {
    const page = await browser.open(server, { signIn: { username: 'bob', password: 'correct horse battery' } });
    await page.visit('#/apps');
    assert.equal(await page.locator('main a.card').count(), 2);
    await page.visit(`${SCANNER}/stable/1.2.0`);
    assert.equal(await page.getByRole('button', { name: /Delete/ }).count(), 0);
    await page.visit('#/people');
    await page.getByRole('heading', { name: 'You do not have access to this' }).waitFor();
    await page.close_();
  });

  test('rights are given by the matrix', async () => {
    const page = await browser.open(server);
    await page.visit('#/people');
    await page.getByRole('button', { name: 'Edit bob' }).click();
    await page.getByLabel('Channels: Create').check();
    await page.judge('people-edit');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    const { users } = await page.api.json('/users/list');
    const bob = users.find((one) => one.username === 'bob').permissions;
    assert.deepEqual([bob.Channels.Create, bob.Apps.Upload, bob.Apps.Allowed.length], [true, true, 2]);
    await page.close_();
  });
});
