// What people come for, from the first click to the client that has it: in both themes, at a desk and on a phone.
// Each flow ends with the real client: apt, dnf, curl, the browser's own download.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { copyFileSync, createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Browser, Server, waitFor } from './harness.js';
import { Yard, sh } from './clients.js';
import { form, refpack } from './seed.js';

const EVERYWHERE = ['wide', 'phone'].flatMap((size) => ['light', 'dark'].map((theme) => ({ size, theme, key: `${size}-${theme}` })));
const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

let browser;
let server;
let api;
let yard;
before(async () => {
  yard = new Yard();
  [browser, server] = await Promise.all([Browser.start(), Server.start({ args: ['--tls-listen', '127.0.0.1:0'] })]);
  api = await server.signIn();
});
after(async () => {
  await browser?.stop();
  await server?.stop();
  yard?.end();
});

/** One flow, everywhere. */
function flow(name, work) {
  describe(name, () => {
    for (const place of EVERYWHERE) {
      test(place.key, async () => {
        const page = await browser.open(server, { size: place.size, theme: place.theme, signIn: false });
        try {
          await work(page, place);
        } finally {
          await page.close_();
        }
      });
    }
  });
}

async function signIn(page, user = server.owner) {
  await page.goto(`${server.base}/ui/`);
  await page.getByLabel('Name').fill(user.username);
  await page.getByLabel('Password', { exact: true }).fill(user.password);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Account and theme' }).waitFor();
  await page.waitForFunction(() => !location.hash.startsWith('#/sign-in'));
  await page.settle();
}

async function choose(page, button, ...files) {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: button }).click()]);
  await chooser.setFiles(files);
}

/** Presses a copy button and answers what is in the clipboard then. */
async function copied(page, what) {
  const copy = page.getByRole('button', { name: `Copy ${what}`, exact: true });
  await copy.click();
  return page.evaluate(() => navigator.clipboard.readText());
}

flow('1 first start, an apt repository, a package dropped, two lines copied, apt installs', async (_, { size, theme, key }) => {
  const fresh = await Server.start({ setup: true });
  const page = await browser.open(fresh, { size, theme, signIn: false });
  try {
    await page.goto(fresh.setupLink);
    await page.getByLabel('Your name').fill('ann');
    await page.getByLabel('Password', { exact: true }).fill('a long walk by the sea');
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByRole('heading', { name: 'How is it reached?' }).waitFor();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByLabel('Debian and Ubuntu packages').check();
    await page.getByRole('button', { name: 'Set it up' }).click();
    await page.getByRole('heading', { name: 'Welcome, ann' }).waitFor();
    await choose(page, /^Drop a file to begin/, yard.deb(`greeter-${key}`, '1.0'));
    await page.getByRole('heading', { level: 1, name: 'Upload' }).waitFor();
    assert.ok(await page.getByRole('radio', { name: 'apt repository' }).isChecked());
    await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
    await page.getByText('Done').waitFor();
    await page.judge('flow-1-uploaded');
    await page.getByRole('link', { name: 'Set up a machine' }).click();
    await page.getByRole('heading', { level: 1, name: 'main' }).waitFor();
    const lines = await copied(page, 'Debian 12+, Ubuntu 22.04+');
    assert.match(lines, new RegExp(`apt install greeter-${key}`));
    await page.judge('flow-1-lines');
    const root = await yard.apt(lines);
    assert.equal(readFileSync(path.join(root, `usr/share/greeter-${key}/version`), 'utf8'), '1.0');
  } finally {
    await page.close_();
    await fresh.stop();
  }
});

flow('2 an installer becomes a Windows package, and is fetched over HTTPS as winget does it', async (page, { key }) => {
  const name = `Tool ${key.replace('-', ' ')}`;
  const installer = yard.msi(name, '1.2.3');
  await signIn(page);
  await page.visit('#/upload');
  await choose(page, /^Drop files here/, installer);
  await page.getByRole('radio', { name: 'Windows package' }).check();
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  const drawer = page.getByRole('dialog', { name: 'Windows package' });
  await drawer.waitFor();
  const id = `Contoso.${name.replaceAll(' ', '')}`;
  const said = { Publisher: 'Contoso', Name: name, 'Package id': id, Version: '1.2.3', Architecture: 'x64' };
  for (const [label, value] of Object.entries(said)) assert.equal(await drawer.getByLabel(label, { exact: true }).inputValue(), value, label);
  await drawer.getByRole('button', { name: 'Add to Windows packages' }).click();
  await page.getByText(`is ${id} 1.2.3`).waitFor();
  await page.getByRole('link', { name: 'Open' }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.settle();
  await page.getByText('winget takes sources by HTTPS only').first().waitFor();
  await page.getByText('How does this server get HTTPS?').click();
  await page.getByRole('link', { name: '/tls' }).waitFor();
  const line = await copied(page, 'Once, in an elevated PowerShell');
  const source = /-a (\S+) /.exec(line)[1];
  assert.equal(source, `${server.base}/winget/${server.owner.username}`);
  assert.match(await copied(page, 'Install'), new RegExp(`--id ${id} --exact`));
  await page.judge('flow-2-package');
  // Machines sign in: this one gets its token from the page the hint leads to.
  await page.getByRole('link', { name: 'Clients' }).last().click();
  await page.getByRole('button', { name: 'New client' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill(`desk-${key}`);
  await page.getByRole('dialog').getByRole('button', { name: 'Create client' }).click();
  await page.getByText('I have stored it').waitFor();
  const token = (await copied(page, 'Token')).trim();
  await page.getByRole('button', { name: 'I have stored it' }).click();
  await page.getByText(`DESK-${key.toUpperCase()}`).waitFor();
  // As winget asks: information, search by identifier, manifest, installer; the root comes from the page's own link.
  const at = yard.place('winget');
  const root = `--cacert ${at}/ca.crt`;
  const secure = source.replace(server.base, server.secure);
  await sh(`curl -fsS -o ${at}/ca.crt ${server.base}/tls/ca.crt`);
  const information = JSON.parse(await sh(`curl -fsS ${root} ${secure}/information`));
  assert.ok(information.Data.ServerSupportedVersions.length > 0);
  const query = JSON.stringify({ Inclusions: [{ PackageMatchField: 'PackageIdentifier', RequestMatch: { KeyWord: id, MatchType: 'Exact' } }] });
  const header = `-H 'Windows-Package-Manager: ${token}'`;
  const found = JSON.parse(await sh(`curl -fsS ${root} ${header} -H 'Content-Type: application/json' -d '${query}' ${secure}/manifestSearch`));
  assert.deepEqual(found.Data.map((one) => one.PackageIdentifier), [id]);
  const { Data: manifest } = JSON.parse(await sh(`curl -fsS ${root} ${header} ${secure}/packageManifests/${id}`));
  const [offered] = manifest.Versions[0].Installers;
  assert.ok(offered.InstallerUrl.startsWith(server.secure), offered.InstallerUrl);
  await sh(`curl -fsS ${root} -o ${at}/it.msi '${offered.InstallerUrl}'`);
  const bytes = readFileSync(path.join(at, 'it.msi'));
  assert.equal(digestOf(bytes), digestOf(readFileSync(installer)));
  assert.equal(offered.InstallerSha256.toLowerCase(), digestOf(bytes));
});

describe('apps', () => {
  before(async () => {
    const post = (where, body) => api.json(where, { method: 'POST', body });
    await post('/channel/create', { channel: 'stable' });
    for (const arch of ['amd64', 'arm64']) await post('/arch/create', { arch });
    for (const platform of ['linux', 'macos', 'windows']) await post('/platform/create', { platform });
    for (const { key } of EVERYWHERE) {
      for (const name of [`Scanner ${key}`, `Moved ${key}`, `Hidden ${key}`]) await post('/app/create', form({ data: { app: name } }));
    }
  });

  flow('3 files of three platforms become one release; installed copies hear of it once it is published', async (page, { key }) => {
    const app = `Scanner ${key}`;
    await signIn(page);
    await page.visit(`#/apps/${encodeURIComponent(app)}`);
    await page.getByRole('button', { name: 'New release' }).first().click();
    const dialog = page.getByRole('dialog');
    const files = ['scanner-2.1.0-linux-amd64.AppImage', 'scanner-2.1.0-macos-arm64.dmg', 'Scanner Setup 2.1.0 x64.exe'];
    await dialog.locator('input[type=file]').setInputFiles(files.map((name) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(`bytes of ${name} ${key}`) })));
    assert.equal(await dialog.getByLabel('Version').inputValue(), '2.1.0');
    for (const [name, platform, arch] of [[files[0], 'linux', 'amd64'], [files[1], 'macos', 'arm64'], [files[2], 'windows', 'amd64']]) {
      assert.equal(await dialog.getByLabel(`Platform of ${name}`).inputValue(), platform);
      assert.equal(await dialog.getByLabel(`Architecture of ${name}`).inputValue(), arch);
    }
    await dialog.getByRole('button', { name: 'Create release' }).click();
    await page.getByRole('heading', { level: 1, name: `${app} 2.1.0` }).waitFor();
    await page.locator('.page-head').getByText('Draft').waitFor();
    const ask = page.getByRole('button', { name: 'Ask', exact: true });
    await page.getByLabel('It has version').fill('1.0.0');
    await page.getByLabel('Platform', { exact: true }).selectOption('macos');
    await page.getByLabel('Architecture', { exact: true }).selectOption('arm64');
    await ask.click();
    await page.getByText('Nothing to offer').waitFor();
    await page.getByRole('switch', { name: 'Published' }).check();
    await page.locator('.page-head').getByText('Published').waitFor();
    await ask.click();
    await page.getByText('Update available').waitFor();
    await page.getByText('The answer, word for word').click();
    const check = await copied(page, 'Update check');
    await page.judge('flow-3-told');
    const answer = JSON.parse(await sh(check.replace('curl ', 'curl -fsS ')));
    assert.equal(answer.update_available, true);
    const got = await sh(`curl -fsSL '${answer.update_url ?? answer.update_url_dmg}'`);
    assert.equal(got, `bytes of ${files[1]} ${key}`);
  });

  flow('6 a file offered through two doors stays until both let go', async (page, { key }) => {
    const app = `Moved ${key}`;
    const name = `moved-${key}`;
    const file = yard.deb(name, '3.0');
    const bytes = readFileSync(file);
    await api.json('/upload', { method: 'POST', body: form({ data: { app_name: app, version: '3.0', channel: 'stable', platform: 'linux', arch: 'amd64', publish: true } }, [['file', path.basename(file), bytes]]) });
    await api.json('/repo', { method: 'POST', body: { name, type: 'apt' } });
    const digest = digestOf(bytes);
    await signIn(page);
    await page.visit(`#/artifact/${digest}`);
    await page.getByRole('heading', { name: 'Offered through 1 door' }).waitFor();
    await page.getByRole('button', { name: 'Offer through another door…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Repository').selectOption(name);
    await dialog.getByRole('button', { name: 'Add to the repository' }).click();
    await page.getByRole('heading', { name: 'Offered through 2 doors' }).waitFor();
    await page.settle();
    await page.judge('flow-6-two-doors');
    // One door lets go: apt still installs it.
    await page.visit(`#/apps/${encodeURIComponent(app)}/stable/3.0`);
    await page.getByRole('button', { name: 'Delete release' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete release' }).click();
    await page.getByText('No release yet').waitFor();
    await page.visit(`#/repositories/${name}?tab=setup`);
    const root = await yard.apt(await copied(page, 'Debian 12+, Ubuntu 22.04+'));
    assert.equal(readFileSync(path.join(root, `usr/share/${name}/version`), 'utf8'), '3.0');
    // The other one does too. What is published stays fetchable for a day; with the repository it goes at once.
    await page.visit(`#/repositories/${name}`);
    await page.getByLabel(`Pick ${path.basename(file)}`).check();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByText('No package yet').waitFor();
    // The words about it, with Undo, would lie over buttons for ten seconds.
    await page.evaluate(() => document.querySelectorAll('.toast').forEach((toast) => toast.remove()));
    await page.visit(`#/repositories/${name}?tab=settings`);
    await page.getByRole('button', { name: 'Delete this repository' }).click();
    await page.getByRole('dialog').getByLabel('Type').fill(name);
    await page.getByRole('dialog').getByRole('button', { name: 'Delete repository' }).click();
    await page.getByRole('heading', { level: 1, name: 'Repositories' }).waitFor();
    await waitFor('the file to be collected', async () => (await api(`/ui/api/artifacts/${digest}`)).status === 404);
    // The row goes first, the bytes after it.
    await waitFor('the bytes to be gone', () => !existsSync(path.join(server.data, 'shelf', digest.slice(0, 2), digest)));
    page.excuse(/status of 404/);
    await page.visit(`#/artifact/${digest}`);
    await page.getByRole('heading', { name: 'There is no such thing' }).waitFor();
  });

  flow('7 a team user sees two apps, deletes nothing, and is told about the rest', async (page, { key }) => {
    const { apps } = await api.json('/app/list');
    const allowed = apps.filter((app) => [`Scanner ${key}`, `Moved ${key}`].includes(app.AppName)).map((app) => app.ID);
    assert.equal(allowed.length, 2);
    const user = { username: `bob-${key}`, password: 'correct horse battery' };
    const channels = (await api.json('/channel/list')).channels.map((one) => one.ID);
    await api.json('/user/create', { method: 'POST', body: { ...user, permissions: { apps: { download: true, upload: true, allowed }, channels: { allowed: channels } } } });
    await api.json('/upload', { method: 'POST', body: form({ data: { app_name: `Moved ${key}`, version: '1.0', channel: 'stable', platform: 'linux', arch: 'amd64', publish: true } }, [['file', 'moved-linux.bin', `for bob ${key}`]]) });
    await signIn(page, user);
    await page.getByRole('heading', { level: 1, name: 'Apps' }).waitFor();
    await page.settle();
    assert.deepEqual((await page.locator('main a.card h2').allTextContents()).sort(), [`Moved ${key}`, `Scanner ${key}`]);
    await page.judge('flow-7-apps');
    await page.visit(`#/apps/${encodeURIComponent(`Moved ${key}`)}/stable/1.0`);
    assert.equal(await page.getByRole('button', { name: /Delete|Remove/ }).count(), 0);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^Download moved/ }).click()]);
    assert.equal(readFileSync(await download.path(), 'utf8'), `for bob ${key}`);
    for (const address of ['#/people', '#/storage', '#/keys', '#/repositories', '#/catalog']) {
      await page.visit(address);
      await page.getByRole('heading', { name: 'You do not have access to this' }).waitFor();
    }
    page.excuse(/status of 404/);
    await page.visit(`#/apps/${encodeURIComponent(`Hidden ${key}`)}`);
    await page.getByRole('heading', { name: 'There is no such thing' }).waitFor();
  });
});

describe('upstreams', () => {
  let vendor;
  let tree;
  const broken = new Set();
  before(async () => {
    tree = yard.place('vendor');
    const rpm = yard.rpm('tool', '4.2');
    copyFileSync(rpm, path.join(tree, path.basename(rpm)));
    execFileSync('createrepo_c', ['--quiet', tree]);
    // http://…/KEY/repodata/repomd.xml: each test has a source of its own to break.
    vendor = createServer((request, answer) => {
      const [, key, ...rest] = decodeURIComponent(request.url).split('/');
      const file = path.join(tree, ...rest);
      if (broken.has(key) || rest.includes('..') || !existsSync(file)) {
        answer.writeHead(404).end();
        return;
      }
      createReadStream(file).on('error', () => answer.destroy()).pipe(answer);
    });
    await new Promise((resolve) => { vendor.listen(0, '127.0.0.1', resolve); });
  });
  after(() => vendor?.close());

  flow('4 an upstream is copied and published; when its source breaks, that is said and nothing is lost', async (page, { key }) => {
    await signIn(page);
    await page.visit('#/repositories');
    await page.getByRole('button', { name: 'New upstream' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name', { exact: true }).fill(`vendor-${key}`);
    await dialog.getByLabel('Type').selectOption('yum');
    await dialog.getByLabel('Source').fill(`http://127.0.0.1:${vendor.address().port}/${key}/`);
    await dialog.getByRole('button', { name: 'Create and sync' }).click();
    await page.getByRole('heading', { level: 1, name: `vendor-${key}` }).waitFor();
    await page.locator('.page-head').getByText('Up to date').waitFor();
    await page.judge('flow-4-synced');
    await page.getByRole('button', { name: 'Make a repository from it' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill(`tools-${key}`);
    await page.getByRole('dialog').getByRole('button', { name: 'Create repository' }).click();
    await page.getByRole('heading', { level: 1, name: `tools-${key}` }).waitFor();
    const lines = await copied(page, 'Fedora, RHEL, Alma, Rocky');
    const root = await yard.dnf(lines);
    assert.equal(readFileSync(path.join(root, 'root/usr/share/tool/version'), 'utf8').trim(), '4.2');
    broken.add(key);
    await page.visit(`#/upstreams/vendor-${key}`);
    await page.getByRole('button', { name: 'Sync now' }).click();
    const told = page.locator('main').getByText('The last sync failed.');
    await told.waitFor();
    assert.match(await page.locator('main').textContent(), /What was here before is still here.*repomd\.xml.*404/s);
    await page.judge('flow-4-broken');
    await yard.dnf('dnf --refresh makecache && dnf -C repoquery tool', root);
  });
});

flow('5 a key for a build server: it may upload, a version is never replaced, and the page says so', async (page, { key }) => {
  const name = `ci-${key}`;
  await signIn(page);
  await page.visit('#/keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByRole('button', { name: 'Create key' }).click();
  await page.getByRole('dialog', { name: 'New key' }).getByText('I have stored it').waitFor();
  const token = (await copied(page, 'Key')).trim();
  await page.getByRole('button', { name: 'I have stored it' }).click();
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.settle();
  const { fingerprint } = JSON.parse(await sh(`curl -fsS -H "X-Api-Token: $TOKEN" ${server.base}/fetch/$TOKEN`, { env: { TOKEN: token } }));
  await page.visit('#/products');
  await page.getByRole('button', { name: 'New product' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Create product' }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.getByRole('tab', { name: 'Members' }).click();
  await page.getByRole('button', { name: 'Add member' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Key').selectOption(fingerprint);
  await dialog.getByLabel('Upload').check();
  await dialog.getByLabel('Download').uncheck();
  await dialog.getByRole('button', { name: 'Add member' }).click();
  await page.locator('main').getByText(fingerprint).waitFor();
  await page.getByRole('tab', { name: 'Use it' }).click();
  const line = (await copied(page, 'Upload from CI')).replace('VERSION', '1.0.0').replace('@FILE', '@build.tar').replace('curl -f ', 'curl -fsS ');
  const cwd = yard.place('ci');
  writeFileSync(path.join(cwd, 'build.tar'), `the build of ${key}`);
  const env = { PACKHOUSE_TOKEN: token };
  await sh(line, { cwd, env });
  await assert.rejects(sh(line, { cwd, env }), /409/);
  await page.visit(`#/products/${name}`);
  await page.getByText('build.tar').first().waitFor();
  await page.getByRole('button', { name: 'Upload version' }).click();
  await page.getByRole('dialog').getByLabel('Version').fill('1.0.0');
  await page.getByRole('dialog').locator('input[type=file]').setInputFiles({ name: 'x.bin', mimeType: 'application/octet-stream', buffer: Buffer.from('other') });
  page.excuse(/status of 409/);
  await page.getByRole('dialog').getByRole('button', { name: 'Upload', exact: true }).click();
  await page.getByText('Version 1.0.0 is there already').waitFor();
  await page.judge('flow-5-refused');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  // Fetching is another right; ticked, the same key fetches.
  await page.visit(`#/products/${name}?tab=use`);
  const fetching = (await copied(page, 'Download (curl)')).replace('curl -fOJ', 'curl -fsSOJ');
  const out = yard.place('fetched');
  await assert.rejects(sh(fetching, { cwd: out, env }), /403/);
  await page.getByRole('tab', { name: 'Members' }).click();
  await page.getByLabel(`${fingerprint}: Download`).check();
  await waitFor('the right to be saved', async () => (await api.json(`/product/fetch/${name}`)).tokens[fingerprint].download);
  await sh(fetching, { cwd: out, env });
  assert.equal(readFileSync(path.join(out, 'build.tar'), 'utf8'), `the build of ${key}`);
});

flow('8 a RefPack is dropped, judged, read, and fetched', async (page, { key }) => {
  const pack = refpack({ id: `geo/places-${key}`, version: '1.0.0', title: `Places ${key}` }, [{ id: 'a', name: 'Here' }, { id: 'b', name: 'There' }], { 'data.readme.md': '# Places\n\nTwo of them.', 'data.changelog.json': JSON.stringify([{ version: '1.0.0', date: '2026-05-20', description: 'First' }]) });
  await signIn(page);
  await page.visit('#/upload');
  await choose(page, /^Drop files here/, { name: `places-${key}.refpack.zip`, mimeType: 'application/zip', buffer: pack });
  await page.getByRole('radio', { name: 'RefPack registry' }).check();
  await page.locator('form').getByRole('button', { name: 'Upload', exact: true }).click();
  await page.getByText('Done').waitFor();
  await page.getByRole('link', { name: 'Open' }).click();
  await page.getByRole('link', { name: `Places ${key}` }).click();
  await page.getByRole('heading', { level: 1, name: `Places ${key}` }).waitFor();
  await page.getByText('Two of them.').waitFor();
  const line = await copied(page, 'curl');
  await page.judge('flow-8-refpack');
  const cwd = yard.place('refpack');
  await sh(line.replace('curl -fOJ', 'curl -fsSOJ'), { cwd });
  const [file] = (await sh('ls', { cwd })).trim().split('\n');
  assert.equal(digestOf(readFileSync(path.join(cwd, file))), digestOf(pack));
});
