// What every page does when the server is slow, fails, ends the session or is away, has nothing, or very much: it says so
// in words and goes on once the server does.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { Browser, Server, waitFor } from './harness.js';
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

test('a slow answer shows the shape of what comes, on every page', async () => {
  const page = await browser.open(server);
  // The parts of each page are fetched beforehand: only answers are slow.
  for (const [, address] of PAGES) await page.visit(address);
  for (const [name, address] of PAGES.filter(([one]) => !ALONE.has(one))) {
    await page.visit('#/settings');
    let letGo;
    const held = new Promise((resolve) => { letGo = resolve; });
    const slow = async (route) => {
      if (asks(route.request())) await held;
      await route.continue();
    };
    await page.route('**/*', slow);
    await page.evaluate((hash) => { location.hash = hash; }, address);
    await page.locator('main .skeleton').first().waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
    letGo();
    await page.settle();
    await page.unroute('**/*', slow);
    assert.equal(await page.locator('main h1').count(), 1, name);
  }
  assert.deepEqual(page.troubles, []);
  await page.close_();
});

test('where nothing is yet, every page says what would be there and how to begin', async () => {
  const bare = await Server.start();
  try {
    const page = await browser.open(bare);
    page.excuse(/status of 404/);
    const lists = ['catalog', 'apps', 'windows', 'windows-clients', 'products', 'refpacks', 'repositories', 'people', 'keys'];
    const things = ['app', 'release', 'windows-package', 'product', 'refpack', 'repository', 'upstream'];
    const address = (name) => PAGES.find(([one]) => one === name)[1].replace(/\?.*$/, '');
    for (const name of lists) {
      await page.visit(address(name));
      const empty = page.locator('main .empty').first();
      await empty.waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
      assert.ok((await empty.locator('h2, h3').textContent()).length > 5, `${name}: a heading`);
      assert.ok((await empty.locator('p').first().textContent()).length > 20, `${name}: a sentence`);
      assert.ok(await page.locator('main').getByRole('button').or(page.locator('main .empty a')).count() > 0, `${name}: a way to begin`);
    }
    for (const name of things) {
      await page.visit(address(name));
      await page.getByRole('heading', { level: 1, name: 'There is no such thing' }).waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
    }
    await page.visit('#/');
    await page.getByText('Nothing is stored here yet. Begin with one of these:').waitFor();
    // What the server keeps for itself is nothing of the owner's: an empty repository leaves the box empty.
    await page.api.json('/repo', { method: 'POST', body: { name: 'main', type: 'apt' } });
    await page.visit('#/catalog');
    await page.visit('#/');
    await page.getByRole('link', { name: /^Fill main/ }).click();
    await page.getByRole('heading', { level: 1, name: 'main' }).waitFor();
    await page.getByText('No package yet').waitFor();
    await page.close_();
  } finally {
    await bare.stop();
  }
});

test('where filters leave nothing, that is said with the filter, and one click clears it', async () => {
  const page = await browser.open(server);
  const cleared = async (name) => {
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByRole('button', { name: 'Clear filters' }).waitFor({ state: 'detached' });
    await page.locator('main tbody tr, main a.card').first().waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
  };
  await page.visit('#/catalog?q=nowhere-to-be-found&kind=deb&arch=arm64');
  await page.getByText('No artifact matches “nowhere-to-be-found” in deb for arm64').waitFor();
  await cleared('catalog');
  for (const [name, address, words] of [['apps', '#/apps', 'No app matches “nowhere”'], ['windows', '#/windows', 'No package matches “nowhere”'], ['products', '#/products', 'No product matches “nowhere”'], ['refpacks', '#/refpacks', 'No RefPack matches “nowhere”']]) {
    await page.visit(address);
    const search = page.locator('main input[type="search"]');
    // Few things need no search.
    if (await search.count() === 0) continue;
    await search.fill('nowhere');
    await page.getByText(words).waitFor().catch((error) => { throw new Error(`${name}: ${error.message}`); });
    await cleared(name);
  }
  await page.visit('#/audit?what=nothing.like.this');
  await page.getByText('No event fits these filters').waitFor();
  await cleared('audit');
  await page.visit('#/jobs?kind=scrub');
  await page.getByText('No job of the kind “Check of stored bytes”').waitFor();
  await cleared('jobs');
  await page.close_();
});

const MANY = Number(process.env.UI_MANY ?? 5000);

/** Uploads `count` small files over eight connections that are kept. */
async function crowd(ask, count) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const at = next;
      next += 1;
      await new Promise((resolve, reject) => {
        const request = http.request(`${server.base}/package?filename=crowd-${String(at).padStart(6, '0')}.txt`, { method: 'POST', agent, headers: { Authorization: `Bearer ${ask.bearer}`, 'Content-Type': 'application/octet-stream' } }, (answer) => {
          answer.resume();
          answer.on('end', () => (answer.statusCode === 201 || answer.statusCode === 200 ? resolve() : reject(new Error(`upload ${at}: ${answer.statusCode}`))));
          answer.on('error', reject);
        });
        request.on('error', reject);
        request.end(`one of many: ${at}`);
      });
    }
  };
  try {
    await Promise.all(Array.from({ length: 8 }, worker));
  } finally {
    agent.destroy();
  }
}

test(`${MANY} artifacts: every list stays paged and searched`, async (context) => {
  const ask = await server.signIn();
  const began = Date.now();
  await crowd(ask, MANY);
  context.diagnostic(`uploaded in ${Date.now() - began} ms`);
  await ask.json('/repo', { method: 'POST', body: { name: 'crowd', type: 'dir' } });
  const page = await browser.open(server);
  const visit = async (address) => {
    const from = Date.now();
    await page.visit(address);
    context.diagnostic(`${address}: ${Date.now() - from} ms`);
    assert.ok(await page.locator('main tr').count() <= 110, `${address}: stays paged`);
  };
  for (const address of ['#/', '#/catalog', '#/catalog?sort=name', '#/catalog?sort=-size', '#/storage']) await visit(address);
  await visit('#/catalog');
  assert.equal(await page.locator('main tbody tr').count(), 50);
  await page.getByRole('button', { name: 'Show more' }).click();
  await page.getByText('100 rows shown, there are more').waitFor();
  const last = `crowd-${String(MANY - 1).padStart(6, '0')}.txt`;
  await page.getByRole('searchbox').fill(last);
  await page.locator('main tbody tr').nth(1).waitFor({ state: 'detached' });
  await waitFor('the one that was meant', async () => (await page.locator('main tbody th a').allTextContents()).join() === last);
  // A repository of as many.
  const digest = (at) => createHash('sha256').update(`one of many: ${at}`).digest('hex');
  await ask.json('/repo/crowd/packages', { method: 'PUT', body: Object.fromEntries(Array.from({ length: MANY }, (_, at) => [digest(at), true])) });
  await visit('#/repositories/crowd');
  assert.equal(await page.locator('main tbody tr').count(), 50);
  await page.getByRole('searchbox').fill('crowd-000042');
  await waitFor('the package that was meant', async () => (await page.locator('main tbody tr').count()) === 1);
  assert.deepEqual(page.troubles, []);
  await page.close_();
});
