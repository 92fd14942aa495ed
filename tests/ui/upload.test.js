// Uploading in the browser: dropping, doors, progress, refusals, retry.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Browser, Server } from './harness.js';

const ABSENT = /status of 404/;
let server;
let browser;
before(async () => {
  server = await Server.start();
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});

async function choose(page, ...files) {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: /Drop files here/ }).click()]);
  await chooser.setFiles(files.map(({ name, bytes }) => ({ name, mimeType: 'application/octet-stream', buffer: bytes })));
}

test('a file becomes a product version, byte for byte; the second try is refused in words', async () => {
  const page = await browser.open(server);
  page.excuse(ABSENT);
  const bytes = Buffer.concat([Buffer.from('MZ'), randomBytes(3_000_000)]);
  await page.visit('#/upload');
  await choose(page, { name: 'helper-3.1.0-x64.exe', bytes });
  await page.getByRole('radio', { name: 'Product version' }).check();
  assert.equal(await page.getByLabel('Product', { exact: true }).inputValue(), 'helper');
  assert.equal(await page.getByLabel('Version', { exact: true }).inputValue(), '3.1.0');
  await page.judge('upload-door');
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  await page.getByText('Done').waitFor();
  await page.judge('upload-done');
  const api = await server.signIn();
  const stored = Buffer.from(await (await api('/product/download/helper/3.1.0')).arrayBuffer());
  assert.equal(createHash('sha256').update(stored).digest('hex'), createHash('sha256').update(bytes).digest('hex'));

  page.excuse(/status of 409/);
  await choose(page, { name: 'helper-3.1.0-x64.exe', bytes: Buffer.from('MZ other bytes') });
  await page.getByRole('radio', { name: 'Product version' }).check();
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  const problem = page.getByRole('alert').filter({ hasText: "this version is already uploaded" });
  await problem.waitFor();
  await page.judge('upload-refused');
  await page.getByRole('button', { name: /^Cancel helper/ }).click();
  await page.close_();
});

test('files dropped anywhere wait on the upload page', async () => {
  const page = await browser.open(server);
  page.excuse(ABSENT);
  await page.visit('#/audit');
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['!<arch>\ndebian-binary   x'], 'tool_1.0_amd64.deb'));
    return transfer;
  });
  await page.dispatchEvent('main', 'dragenter', { dataTransfer: data });
  await page.getByText('Drop to upload').waitFor();
  await page.dispatchEvent('main', 'drop', { dataTransfer: data });
  await page.waitForFunction(() => location.hash === '#/upload');
  await page.getByText('tool_1.0_amd64.deb').waitFor();
  await page.locator('.kind', { hasText: 'deb' }).waitFor();
  await page.getByRole('button', { name: 'Remove tool_1.0_amd64.deb' }).click();
  await page.getByText('tool_1.0_amd64.deb').first().waitFor({ state: 'detached' });
  await page.close_();
});

test('a broken connection can be tried again', async () => {
  const page = await browser.open(server);
  page.excuse(ABSENT);
  page.excuse(/ERR_FAILED|net::/);
  await page.visit('#/upload');
  await page.route('**/product/upload', (route) => route.abort());
  await choose(page, { name: 'again-1.0.bin', bytes: Buffer.from('some bytes') });
  await page.getByRole('radio', { name: 'Product version' }).check();
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  await page.getByText('The connection broke off.').waitFor();
  await page.judge('upload-broken');
  await page.unroute('**/product/upload');
  await page.getByRole('button', { name: 'Retry' }).click();
  await page.getByText('Done').waitFor();
  await page.close_();
});

test('an installer goes up in pieces, pauses, goes on, and becomes a Windows package', async () => {
  const page = await browser.open(server);
  page.excuse(ABSENT);
  const bytes = Buffer.concat([Buffer.from('MZ'), randomBytes(20_000_000)]);
  await page.visit('#/upload');
  let pieces = 0;
  await page.route('**/upload_package_version', async (route) => {
    pieces += 1;
    // The second piece never arrives: the upload is paused in the middle of it.
    if (pieces === 2) {
      await page.getByRole('button', { name: /^Pause/ }).click();
      await route.abort().catch(() => {});
    } else await route.continue();
  });
  await choose(page, { name: 'Helper-3.1.0-x64.exe', bytes });
  await page.getByRole('radio', { name: 'Windows package' }).check();
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  await page.getByText('Paused').waitFor();
  await page.judge('upload-paused');
  await page.getByRole('button', { name: /^Go on/ }).click();
  const drawer = page.getByRole('dialog', { name: 'Windows package' });
  await drawer.waitFor();
  await page.judge('upload-installer');
  assert.equal(await drawer.getByLabel('Version').inputValue(), '3.1.0');
  await drawer.getByLabel('Publisher').fill('Acme & <Co>');
  assert.equal(await drawer.getByLabel('Package id').inputValue(), 'AcmeCo.Helper');
  await drawer.getByRole('button', { name: 'Add to Windows packages' }).click();
  await page.getByText('is AcmeCo.Helper 3.1.0').waitFor();
  assert.equal(pieces, 5, 'a piece that arrived is sent again only to ask what is there');
  const api = await server.signIn();
  const { tenant } = await api.json('/ui/api/session');
  const [version] = await api.json(`/cloud/client/api/${tenant}/get_package_versions/AcmeCo.Helper`);
  assert.equal(version.INSTALLER_SHA256, createHash('sha256').update(bytes).digest('hex'));
  await page.close_();
});
