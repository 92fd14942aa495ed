// Every page of the console: no accessibility fault, no console error, no request to elsewhere, no sideways scrolling;
// pictures of all, empty and full, in both themes and at desk and phone width.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, OWNER, Server, waitFor } from './harness.js';

const PAGES = [['overview', '#/'], ['catalog', '#/catalog'], ['upload', '#/upload'], ['jobs', '#/jobs'], ['audit', '#/audit'], ['storage', '#/storage'], ['settings', '#/settings'], ['about', '#/about']];
const EVERYWHERE = ['wide', 'phone'].flatMap((size) => ['light', 'dark'].map((theme) => ({ size, theme })));
/** A door this server does not have is asked for once; the page goes on without it. */
const ABSENT = /status of 404/;
const HOSTILE = ['<script>alert(1)<img src=x onerror=alert(2)>.bin', `${'long-name-'.repeat(20)}.deb`, 'ملف تجريبي طويل.tar', '📦 box 👩‍🚀.zip'];

let browser;
before(async () => { browser = await Browser.start(); });
after(() => browser?.stop());

/** A product with files under names that would break a careless page. */
async function fill(server) {
  const api = await server.signIn();
  await api.json('/product/create', { method: 'PUT', body: { name: 'tools' } });
  for (const [index, name] of HOSTILE.entries()) {
    const body = new FormData();
    body.set('product', 'tools');
    body.set('version', `1.${index}`);
    body.set('file', new File([`bytes ${index}`], name));
    await api.json('/product/upload', { method: 'POST', body });
  }
  const { id } = await api.json('/ui/api/check', { method: 'POST' });
  await waitFor('the check', async () => (await api.json(`/ui/api/jobs/${id}`)).state === 'done');
  const { rows } = await api.json('/ui/api/artifacts');
  return { api, job: id, rows };
}

for (const { size, theme } of EVERYWHERE) {
  describe(`${size}, ${theme}`, () => {
    let server;
    before(async () => { server = await Server.start(); });
    after(() => server?.stop());

    test('an empty installation', async () => {
      const out = await browser.open(server, { size, theme, signIn: false });
      await out.visit('');
      assert.equal(new URL(out.url()).hash, '#/sign-in');
      await out.judge('sign-in');
      await out.close_();
      const page = await browser.open(server, { size, theme });
      page.excuse(ABSENT);
      for (const [name, address] of PAGES) {
        await page.visit(address);
        await page.judge(`empty-${name}`);
      }
      await page.visit('#/no/such/page');
      await page.judge('nowhere');
      await page.close_();
    });

    test('names that would break a careless page', async () => {
      const { job, rows } = await fill(server);
      const page = await browser.open(server, { size, theme });
      page.excuse(ABSENT);
      for (const [name, address] of [...PAGES, ['job', `#/jobs/${job}`], ...rows.map((row, index) => [`artifact-${index}`, `#/artifact/${row.digest}`])]) {
        await page.visit(address);
        await page.judge(name);
      }
      await page.visit('#/catalog');
      for (const name of HOSTILE) assert.ok(await page.getByRole('link', { name, exact: true }).count(), name);
      await page.close_();
    });
  });
}

describe('the frame', () => {
  let server;
  before(async () => { server = await Server.start(); });
  after(() => server?.stop());

  test('keys lead everywhere, and focus comes back', async () => {
    const page = await browser.open(server);
    page.excuse(ABSENT);
    await page.visit('#/catalog');
    assert.equal(await page.title(), 'Catalog · Packhouse');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('audi');
    await page.judge('palette');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('main h1')?.textContent === 'Audit');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.judge('shortcuts');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('u');
    await page.getByRole('heading', { level: 1, name: 'Upload' }).waitFor();
    await page.visit('#/catalog');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.type), 'search');
    await page.close_();
  });

  test('letters typed into a field are no shortcuts', async () => {
    const page = await browser.open(server);
    await page.visit('#/catalog');
    await page.getByRole('searchbox').fill('');
    await page.getByRole('searchbox').pressSequentially('u?/u');
    assert.equal(new URL(page.url()).hash.split('?')[0], '#/catalog');
    assert.equal(await page.getByRole('searchbox').inputValue(), 'u?/u');
    await page.close_();
  });

  test('a team user sees what they may, and is told about the rest', async () => {
    const api = await server.signIn();
    await api.json('/user/create', { method: 'POST', body: { username: 'helper', password: 'helpers password', permissions: {} } });
    const page = await browser.open(server, { signIn: { username: 'helper', password: 'helpers password' } });
    await page.visit('#/storage');
    assert.equal(await page.locator('h1').textContent(), 'You do not have access to this');
    assert.match(await page.locator('main').textContent(), new RegExp(OWNER.username));
    assert.equal(await page.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: 'Storage' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Upload' }).count(), 0);
    await page.judge('no-access');
    await page.close_();
  });

  test('a session that ends in the middle leads back to where one was', async () => {
    const page = await browser.open(server);
    await page.visit('#/audit');
    await page.api('/ui/api/sign-out', { method: 'POST' });
    await page.evaluate(() => { location.hash = '#/storage'; });
    await page.waitForFunction(() => location.hash.startsWith('#/sign-in'));
    page.excuse(/401/);
    await page.getByLabel('Name').fill(OWNER.username);
    await page.getByLabel('Password', { exact: true }).fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('invalid username or password').waitFor();
    page.excuse(/401/);
    await page.getByLabel('Password', { exact: true }).fill(OWNER.password);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('main h1')?.textContent === 'Storage');
    await page.close_();
  });

  test('a server that goes away is said, and its return too', async () => {
    const page = await browser.open(server);
    await page.visit('#/catalog');
    await server.halt();
    await page.getByRole('searchbox').fill('x');
    await page.getByText('The server cannot be reached. Trying again…').waitFor();
    await page.getByRole('heading', { name: 'This could not be loaded' }).waitFor();
    await server.resume();
    await page.getByText('The server cannot be reached. Trying again…').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('No artifact matches “x”').waitFor();
    page.excuse(/ERR_|Failed to load/);
    await page.judge('catalog-nothing-fits');
    await page.close_();
  });

  test('a failing list keeps the rest of the page usable', async () => {
    const page = await browser.open(server);
    await page.route('**/ui/api/artifacts?*', (route) => route.fulfill({ status: 500, contentType: 'application/json', body: '{"error":"internal error, see request 7 in the log"}' }));
    await page.visit('#/catalog');
    await page.getByText('internal error, see request 7 in the log').waitFor();
    page.excuse(/500/);
    await page.judge('catalog-failed');
    await page.unroute('**/ui/api/artifacts?*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('Nothing is stored here yet').waitFor();
    await page.close_();
  });

  test('a slow answer shows the shape of what comes', async () => {
    const page = await browser.open(server);
    let let_go;
    const held = new Promise((resolve) => { let_go = resolve; });
    await page.route('**/ui/api/storage', async (route) => { await held; await route.continue(); });
    await page.goto(`${server.base}/ui/#/storage`);
    await page.locator('.skeleton').waitFor();
    let_go();
    await page.getByRole('heading', { name: 'Storage', level: 1 }).waitFor();
    await page.close_();
  });

  test('everything fits 320 pixels', async () => {
    const page = await browser.open(server, { size: 'narrow' });
    page.excuse(ABSENT);
    for (const [name, address] of PAGES) {
      await page.visit(address);
      await page.judge(`narrow-${name}`);
    }
    await page.close_();
  });

  /** Everything a page fetches until it stands and rests: requests, bytes, and when it was first painted. */
  async function weighed(page, address) {
    const coming = [];
    const seen = (response) => coming.push(response.body().then((body) => body.length, () => 0));
    page.on('response', seen);
    await page.goto(address);
    await page.settle();
    await page.waitForLoadState('networkidle');
    page.off('response', seen);
    const sizes = await Promise.all(coming);
    const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    return { requests: sizes.length, bytes: sizes.reduce((sum, one) => sum + one, 0), painted };
  }

  test('the first page is small, whichever it is', async (context) => {
    const setup = await Server.start({ setup: true });
    try {
      const used = await fill(server);
      const { address } = await used.api.json(`/ui/api/artifacts/${used.rows[0].digest}/link`, { method: 'POST', body: {} });
      assert.equal((await fetch(server.base + address)).status, 200);
      for (const [name, at, where, signIn] of [['sign-in', server, `${server.base}/ui/`, false], ['overview', server, `${server.base}/ui/#/`, true], ['setup', setup, setup.setupLink, false]]) {
        const page = await browser.open(at, { signIn });
        const { requests, bytes, painted } = await weighed(page, where);
        context.diagnostic(`${name}: ${bytes} bytes in ${requests} requests, first painted after ${Math.round(painted)} ms`);
        assert.ok(bytes > 20_000 && bytes <= 115_000, `${name}: ${bytes} bytes`);
        assert.ok(requests <= 45, `${name}: ${requests} requests`);
        assert.deepEqual(page.troubles, []);
        await page.close_();
      }
    } finally {
      await setup.stop();
    }
  });
});

describe('setup', () => {
  for (const { size, theme } of EVERYWHERE) {
    test(`the first owner, ${size}, ${theme}`, async () => {
      const server = await Server.start({ setup: true });
      try {
        const page = await browser.open(server, { size, theme, signIn: false });
        page.excuse(ABSENT);
        await page.goto(server.setupLink);
        await page.settle();
        assert.equal(new URL(page.url()).hash, '#/setup', 'the right has left the address');
        await page.judge('setup-1');
        await page.getByRole('button', { name: 'Next' }).click();
        await page.getByText('Your name is needed.').waitFor();
        await page.getByLabel('Your name').fill('ann');
        await page.getByLabel('Password', { exact: true }).fill('a long walk by the sea');
        await page.getByRole('button', { name: 'Next' }).click();
        await page.judge('setup-2');
        await page.getByRole('button', { name: 'Back' }).click();
        assert.equal(await page.getByLabel('Your name').inputValue(), 'ann');
        await page.getByRole('button', { name: 'Next' }).click();
        await page.getByRole('button', { name: 'Next' }).click();
        await page.getByLabel('Builds of our own').check();
        await page.judge('setup-3');
        await page.getByRole('button', { name: 'Set it up' }).click();
        await page.getByRole('heading', { name: 'Welcome, ann' }).waitFor();
        await page.judge('setup-4');
        await page.getByRole('button', { name: /go on/ }).click();
        await page.getByRole('heading', { name: 'Overview' }).waitFor();
        const api = await server.signIn({ username: 'ann', password: 'a long walk by the sea' });
        assert.deepEqual(await api.json('/product/list'), ['first-product']);
        await page.goto(server.setupLink);
        await page.reload();
        await page.getByRole('heading', { name: 'This server is set up' }).waitFor();
        await page.close_();
      } finally {
        await server.stop();
      }
    });
  }
});
