// What the pages of the house itself do: where the server is reached, figures of today, letting files go, last uses of
// keys, people and their sessions, groups of hidden packages, licences.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, OWNER, Server, waitFor } from './harness.js';
import { form, seedApps, seedPeople, seedWindows } from './seed.js';

/** The pages in their usual state are judged in all sizes and themes elsewhere. */
const LOOKS = [{ size: 'wide', theme: 'light' }, { size: 'phone', theme: 'dark' }];
const WORD = 'correct horse battery';

let browser;
before(async () => { browser = await Browser.start(); });
after(() => browser?.stop());

async function served(work, options) {
  const server = await Server.start(options);
  try {
    return await work(server, await server.signIn());
  } finally {
    await server.stop();
  }
}

const put = (api, where, name, text) => api.json(`${where}?filename=${encodeURIComponent(name)}`, { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' }, body: text });
/** The row of a table with this text in it. */
const row = (page, text) => page.getByRole('row').filter({ hasText: text });
const said = (page, text) => page.getByText(text, { exact: false }).first().waitFor();

describe('setup', () => {
  test('offers every address, makes a first app and shows the lines for what was chosen', async () => {
    const server = await Server.start({ setup: true, args: ['--public-url', 'https://packages.example'] });
    try {
      // The printed link begins with the public address, which does not lead here.
      const link = server.setupLink;
      assert.ok(link.startsWith('https://packages.example/ui/#/setup'), link);
      const page = await browser.open(server, { signIn: false });
      await page.goto(server.base + link.slice('https://packages.example'.length));
      await page.getByLabel('Your name').fill(OWNER.username);
      await page.getByLabel('Password', { exact: true }).fill(OWNER.password);
      await page.getByRole('button', { name: 'Next' }).click();
      const shown = page.locator('.addresses code');
      await shown.first().waitFor();
      const urls = await shown.allTextContents();
      assert.ok(urls.includes('https://packages.example'), urls.join());
      assert.ok(urls.includes(server.base) && urls.includes(server.base.replace('127.0.0.1', 'localhost')), urls.join());
      await page.judge('setup-addresses');
      await page.getByRole('button', { name: 'Next' }).click();
      await page.getByLabel('Desktop apps that update themselves').check();
      await page.getByLabel('Builds of our own').check();
      await page.getByRole('button', { name: 'Set it up' }).click();
      await page.getByRole('heading', { name: 'Lines to use it' }).waitFor();
      await page.getByRole('tab', { name: 'Update check' }).click();
      await page.getByText('https://packages.example/checkVersion?app_name=first-app').waitFor();
      await page.judge('setup-done');
      const api = await server.signIn();
      assert.deepEqual((await api.json('/app/list')).apps.map((app) => app.AppName), ['first-app']);
      await page.close_();
    } finally {
      await server.stop();
    }
  });
});

describe('figures', () => {
  test('downloads of today and of the week', () => served(async (server, api) => {
    await api.json('/product/create', { method: 'PUT', body: { name: 'tools' } });
    const body = form({ product: 'tools', version: '1' }, [['file', 'tool.bin', 'bytes']]);
    await api.json('/product/upload', { method: 'POST', body });
    for (let times = 0; times < 3; times += 1) assert.equal(await (await api('/product/download/tools/1')).text(), 'bytes');
    for (const { size, theme } of LOOKS) {
      const page = await browser.open(server, { size, theme });
      await page.visit('#/');
      assert.equal(await page.locator('a.tile', { hasText: 'Downloads today' }).locator('.figure').textContent(), '3');
      assert.equal(await page.getByRole('img', { name: /^Downloads, last 7 days/ }).count(), 1);
      await page.judge('overview-today');
      await page.visit('#/settings');
      assert.ok((await page.locator('.addresses code').allTextContents()).includes(server.base));
      await page.judge('settings-addresses');
      await page.close_();
    }
  }));

  test('licences are told by name and in their words', () => served(async (server) => {
    const page = await browser.open(server);
    await page.visit('#/about');
    await page.judge('about-licences');
    await page.getByText(/^All \d+ libraries$/).click();
    assert.match(await row(page, 'redb').first().textContent(), /MIT OR Apache-2\.0/);
    const href = await page.getByRole('link', { name: 'The words of these licences' }).getAttribute('href');
    assert.match(await (await fetch(server.base + href)).text(), /Permission is hereby granted/);
    await page.close_();
  }));
});

describe('letting files go', () => {
  test('what no door offers has a chip; holds are released door by door', () => served(async (server, api) => {
    await api.json('/repo', { method: 'POST', body: { name: 'files', type: 'dir' } });
    const loose = await put(api, '/package', 'loose.bin', 'nobody wants this');
    const placed = await put(api, '/package', 'placed.bin', 'a repository wants this');
    const digests = (one) => /[0-9a-f]{64}/.exec(JSON.stringify(one))[0];
    await api.json('/repo/files/packages', { method: 'PATCH', body: { [digests(placed)]: true } });
    const page = await browser.open(server);
    await page.visit('#/storage');
    await page.getByRole('link', { name: '1 artifact', exact: true }).click();
    await page.settle();
    assert.equal(await page.getByRole('button', { name: 'Offered nowhere' }).getAttribute('aria-pressed'), 'true');
    await row(page, 'loose.bin').waitFor();
    assert.equal(await row(page, 'placed.bin').count(), 0);
    await page.judge('catalog-nowhere');
    await page.getByRole('button', { name: 'Offered nowhere' }).click();
    await row(page, 'placed.bin').waitFor();
    await page.getByLabel('Pick all rows shown').check();
    await page.getByRole('button', { name: 'Release holds…' }).click();
    await page.getByLabel('Repository files').waitFor();
    await page.judge('release-holds');
    await page.locator('dialog').getByRole('button', { name: 'Let go' }).click();
    await said(page, 'Choose at least one door.');
    await page.getByLabel('Repository files').check();
    await page.getByLabel('Uploaded by hand').check();
    await page.locator('dialog').getByRole('button', { name: 'Let go' }).click();
    await waitFor('the dialog to go', async () => (await page.locator('dialog').count()) === 0);
    await waitFor('the upload to go', async () => (await api(`/ui/api/artifacts/${digests(loose)}`)).status === 404);
    assert.deepEqual(await api.json('/repo/files/packages'), {});
    await page.close_();
  }));

  test('from one repository, with the consequence said before', () => served(async (server, api) => {
    await api.json('/product/create', { method: 'PUT', body: { name: 'tools' } });
    await api.json('/product/upload', { method: 'POST', body: form({ product: 'tools', version: '1' }, [['file', 'tool.bin', 'bytes']]) });
    await api.json('/product/upload', { method: 'POST', body: form({ product: 'tools', version: '2' }, [['file', 'tool.bin', 'bytes']]) });
    const { rows } = await api.json('/ui/api/artifacts');
    const page = await browser.open(server);
    await page.visit(`#/artifact/${rows[0].digest}`);
    await page.getByText('How to fetch it').first().click();
    await page.getByText('/product/download/tools/1').waitFor();
    await page.getByRole('button', { name: 'Let go: Product tools 1' }).click();
    await said(page, '1 other door still offers this file.');
    await page.judge('let-go');
    await page.locator('dialog').getByRole('button', { name: 'Let go' }).click();
    await page.getByRole('heading', { name: 'Offered through 1 door' }).waitFor();
    await page.getByRole('button', { name: 'Let go: Product tools 2' }).click();
    await said(page, 'No other door offers this file');
    await page.locator('dialog').getByRole('button', { name: 'Let go' }).click();
    await page.getByRole('heading', { name: 'Catalog', level: 1 }).waitFor();
    assert.equal((await api(`/ui/api/artifacts/${rows[0].digest}`)).status, 404);
    await page.close_();
  }));
});

describe('keys and people', () => {
  test('a key tells when and from where it was used, and so does its pruning', () => served(async (server) => {
    const as = (token) => ({ headers: { 'X-Api-Token': token } });
    const key = await (await fetch(`${server.base}/register`, { method: 'PUT', ...as(server.token), body: '{"admin":false}' })).text();
    const unused = await (await fetch(`${server.base}/register`, { method: 'PUT', ...as(server.token), body: '{"admin":false}' })).text();
    assert.notEqual(key, unused);
    assert.equal((await fetch(`${server.base}/product/list`, as(key))).status, 200);
    const page = await browser.open(server);
    await page.visit('#/keys');
    const plain = page.getByRole('row').filter({ hasText: 'Plain' });
    assert.equal(await plain.filter({ hasText: 'from 127.0.0.1' }).count(), 1);
    assert.equal(await plain.filter({ hasText: 'never' }).count(), 1);
    await page.judge('keys-used');
    await plain.filter({ hasText: 'from 127.0.0.1' }).getByRole('button', { name: /^Prune/ }).click();
    await page.locator('dialog').getByText(/^Used .* from 127\.0\.0\.1\.$/).waitFor();
    await page.locator('dialog').getByRole('button', { name: 'Prune' }).click();
    await waitFor('the key to go', async () => (await plain.count()) === 1);
    await page.close_();
  }));

  test('somebody is signed out everywhere; rights and their lists are one table', () => served(async (server, api) => {
    await seedApps(api, server);
    await seedPeople(api);
    const bob = await server.signIn({ username: 'bob', password: WORD });
    await api.json('/signup', { method: 'POST', body: { username: 'second', password: WORD, api_key: 'ui-tests-signup' } });
    for (const { size, theme } of LOOKS) {
      const page = await browser.open(server, { size, theme });
      await page.visit('#/people');
      await row(page, 'second').first().waitFor();
      await page.judge('people-sessions');
      await page.getByRole('button', { name: 'Edit bob' }).click();
      const opener = page.getByRole('button', { name: /^Channels: / });
      assert.equal(await opener.getAttribute('aria-expanded'), 'false');
      assert.match(await page.getByRole('button', { name: /^Apps: / }).textContent(), /2 of \d+$/);
      await opener.click();
      assert.equal(await opener.getAttribute('aria-expanded'), 'true');
      await page.getByRole('group', { name: 'Channels they see' }).getByRole('checkbox').first().check();
      assert.match(await opener.textContent(), /1 of \d+$/);
      await page.judge('people-rights');
      await page.close_();
    }
    const page = await browser.open(server);
    await page.visit('#/people');
    await page.getByRole('button', { name: 'Edit bob' }).click();
    await page.getByRole('button', { name: /^Channels: / }).click();
    await page.getByRole('group', { name: 'Channels they see' }).getByRole('checkbox').first().check();
    await page.locator('dialog').getByRole('button', { name: 'Save' }).click();
    await waitFor('the right to be kept', async () => (await api.json('/users/list')).users.find((one) => one.username === 'bob').permissions.Channels.Allowed.length === 1);
    await page.settle();
    assert.equal((await bob('/ui/api/session')).status, 200);
    await page.getByRole('button', { name: 'Sign bob out' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Sign out' }).click();
    await waitFor('bob to be out', async () => (await bob('/ui/api/session')).status === 401);
    await waitFor('the page to know', async () => (await page.getByRole('button', { name: 'Sign bob out' }).count()) === 0);
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByRole('heading', { name: 'Sign in', level: 1 }).waitFor();
    page.excuse(/status of 401/);
    await page.close_();
  }));
});

describe('Windows packages', () => {
  test('a group of hidden packages is made, given to a client, changed and deleted', () => served(async (server, api) => {
    await seedWindows(api);
    const { tenant } = await api.json('/ui/api/session');
    const at = (where) => `/cloud/client/api/${tenant}/${where}`;
    const page = await browser.open(server);
    await page.visit('#/windows/clients');
    await page.getByRole('button', { name: 'New group' }).first().click();
    await page.locator('dialog').getByLabel('Name').fill('Kiosk');
    await page.locator('dialog').getByLabel('Contoso Reader').check();
    await page.judge('hidden-group');
    await page.locator('dialog').getByRole('button', { name: 'Create group' }).click();
    await row(page, 'Kiosk').first().waitFor();
    await page.getByRole('button', { name: 'Edit DESK-01' }).click();
    await page.locator('dialog').getByLabel(/^Kiosk/).check();
    await page.locator('dialog').getByRole('button', { name: 'Save' }).click();
    await waitFor('the client to have it', async () => (await api.json(at('get_clients'))).find((one) => one.NAME === 'DESK-01').B_GROUPS === 'Kiosk');
    await waitFor('the table to count it', async () => /1/.test(await row(page, 'Contoso.Reader').getByRole('cell').nth(1).textContent()));
    await page.judge('windows-clients-groups');
    await page.getByRole('button', { name: 'Edit Kiosk' }).click();
    await page.locator('dialog').getByLabel('Contoso Reader').uncheck();
    await page.locator('dialog').getByRole('button', { name: 'Save' }).click();
    await waitFor('the group to be empty', async () => (await api.json(at('get_blacklist_groups')))[0].PACKAGES.length === 0);
    await page.settle();
    await page.getByRole('button', { name: 'Delete Kiosk' }).click();
    await said(page, '1 client will see its packages again.');
    await page.locator('dialog').getByRole('button', { name: 'Delete' }).click();
    await waitFor('the group to go', async () => (await api.json(at('get_blacklist_groups'))).length === 0);
    await page.close_();
  }));
});
