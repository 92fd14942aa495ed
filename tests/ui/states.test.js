// What every page does when the server fails: it says so in the server's words and goes on once the server does.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Server } from './harness.js';
import { PAGES, fillAll } from './every-page.js';

let server;
let browser;
before(async () => {
  [browser, server] = await Promise.all([Browser.start(), Server.start()]);
  await fillAll(server);
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});

/** Pages that ask the server for nothing, or go on without what they asked for. */
const ALONE = new Set(['settings', 'about', 'upload']);
const asks = (request) => ['fetch', 'xhr'].includes(request.resourceType());

test('an answer that fails is told on every page, and tried again', async () => {
  const page = await browser.open(server);
  await page.visit('#/settings');
  for (const [name, address] of PAGES.filter(([one]) => !ALONE.has(one))) {
    const fail = (route) => (asks(route.request()) ? route.fulfill({ status: 500, contentType: 'application/json', body: '{"error":"internal error, see request 7 in the log"}' }) : route.continue());
    await page.route('**/*', fail);
    await page.visit(address);
    await page.locator('main').getByText('internal error, see request 7 in the log').first().waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
    assert.equal(await page.locator('main h1').count(), 1, `${name}: one heading`);
    await page.unroute('**/*', fail);
    await page.locator('main').getByRole('button', { name: 'Try again' }).first().click();
    await page.locator('main').getByText('internal error, see request 7 in the log').first().waitFor({ state: 'detached' }).catch((error) => { throw new Error(`${name}: ${error.message}`); });
    await page.settle();
  }
  await page.close_();
});

test('a session that has ended leads from every page to the sign-in, and knows the way back', async () => {
  const page = await browser.open(server);
  await page.visit('#/settings');
  for (const [name, address] of PAGES.filter(([one]) => !ALONE.has(one))) {
    const end = (route) => (asks(route.request()) ? route.fulfill({ status: 401, contentType: 'application/json', body: '{"error":"the session has ended"}' }) : route.continue());
    await page.route('**/*', end);
    await page.evaluate((hash) => { location.hash = hash; }, address);
    await page.waitForFunction(() => location.hash.startsWith('#/sign-in?to=')).catch((error) => { throw new Error(`${name}: ${error.message}`); });
    const back = await page.evaluate(() => new URLSearchParams(location.hash.split('?')[1]).get('to'));
    assert.equal(back.split('?')[0], address.split('?')[0], name);
    await page.getByLabel('Name').waitFor();
    await page.unroute('**/*', end);
    await page.evaluate((token) => sessionStorage.setItem('packhouse.session', token), page.api.bearer);
    await page.visit('#/settings');
    assert.equal(await page.locator('main h1').textContent(), 'Settings', name);
  }
  await page.close_();
});

test('a server that is away is said on every page, and each comes when it is back', async () => {
  const page = await browser.open(server);
  // What a page is made of is here already; only answers are missing.
  for (const [, address] of PAGES) await page.visit(address);
  await page.visit('#/settings');
  await server.halt();
  const some = PAGES.filter(([name]) => ['overview', 'catalog', 'apps', 'windows-package', 'product', 'refpack', 'repository', 'upstream', 'people', 'keys', 'storage'].includes(name));
  for (const [name, address] of some) {
    await page.visit(address);
    await page.getByText('The server cannot be reached. Trying again…').waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
    await page.locator('main').getByText('The server cannot be reached.').first().waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
  }
  await server.resume();
  await page.getByText('The server cannot be reached. Trying again…').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { level: 1, name: 'Storage' }).waitFor();
  await page.close_();
});
