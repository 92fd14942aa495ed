// The tree that screen readers are given of every page, equal to its golden file.
//
// UPDATE_GOLDEN=1 writes golden/NAME.yml anew; look at what changed before committing it.
// Nothing in a tree may depend on the machine, the hour or the order in which work ends: the server stands at noon, the
// browser an hour later, what the machine is like is answered by `MACHINE`, and what remains (ids, sizes) is masked.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser, PATIENCE, Server } from './harness.js';
import { PAGES, fillAll } from './every-page.js';

const GOLDEN = path.join(path.dirname(fileURLToPath(import.meta.url)), 'golden');
const HOUR = 3_600_000;
const NOON = Math.floor(Date.now() / (24 * HOUR)) * 24 * HOUR + 12 * HOUR;
let clock;
let server;
let browser;
before(async () => {
  clock = mkdtempSync(path.join(tmpdir(), 'packhouse-ui-clock-'));
  const offset = Math.round((NOON - Date.now()) / 1000);
  writeFileSync(path.join(clock, 'clock'), `${offset < 0 ? '' : '+'}${offset}\n`);
  [browser, server] = await Promise.all([Browser.start(), Server.start({ env: { PACKHOUSE_CLOCK_FILE: path.join(clock, 'clock') } })]);
  await fillAll(server);
});
after(async () => {
  await browser?.stop();
  await server?.stop();
  if (clock) rmSync(clock, { recursive: true, force: true });
});

/** What answers say of this machine and this build, replaced by something that is always so. */
const MACHINE = {
  '/ui/api/overview': (shown) => ({ ...shown, ...ROOM, kinds: SHARES.map((name, at) => ({ name, count: 3, bytes: (9 - at) << 20 })) }),
  '/ui/api/storage': (shown) => ({ ...shown, ...ROOM, kinds: SHARES.map((name, at) => ({ name, count: 3, bytes: (9 - at) << 20 })), doors: ['app', 'product', 'repo'].map((name, at) => ({ name, count: 2, bytes: (9 - at) << 20 })) }),
  '/ui/api/about': (shown) => ({ ...shown, system: 'linux x86_64', libraries: [{ name: 'one', version: '1.0.0', licence: 'MIT OR Apache-2.0' }, { name: 'two', version: '2.0.0', licence: 'MIT' }] }),
  '/ui/api/addresses': (shown) => ({ ...shown, rows: [{ url: 'http://10.0.0.7:8080', secure: false, sort: 'network' }, { url: 'http://box:8080', secure: false, sort: 'name' }, { url: 'http://localhost:8080', secure: false, sort: 'local' }] }),
  // What recurs begins when it likes.
  '/ui/api/jobs': (shown) => ({ ...shown, rows: shown.rows.filter((job) => job.kind === 'sync') }),
};
const ROOM = { free: 50 * 2 ** 30, reserve: 2 ** 28, stored: 2 ** 26 };
const SHARES = ['file', 'refpack'];

async function steady(page) {
  await page.clock.setFixedTime(NOON + HOUR);
  for (const [address, change] of Object.entries(MACHINE)) {
    await page.route((url) => url.pathname === address, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: change(await response.json()) });
    });
  }
}

/** What differs from run to run: ids, times, sizes, addresses. */
function masked(text) {
  return text
    .replaceAll(server.data, 'DATA').replaceAll(server.base, 'BASE').replaceAll(server.base.replace('http://', ''), 'HOST')
    .replace(/fp:[0-9a-f]+/g, 'FINGERPRINT').replace(/pht?_[A-Za-z0-9]+…?|[a-z]{2,6}_[A-Za-z0-9]{4,}…|\bfns_[0-9a-f]{8}\b/g, 'PREFIX')
    .replace(/\b[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b/g, (found) => (/^0F1E2D3C/i.test(found) ? found : 'UUID'))
    .replace(/starting [0-9a-f]{4}…/g, 'starting HEX…').replace(/\b[0-9a-f]{64}\b/g, 'DIGEST').replace(/\b[0-9a-f]{24}\b/g, 'ID').replace(/\b[0-9a-f]{12}\b/g, 'DIGEST')
    .replace(/\b\d{13,}\b/g, 'NUMBER')
    .replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?/g, 'TIME').replace(/\b\d{4}-\d\d-\d\d\b/g, 'DATE')
    .replace(/\bjust now\b|\b\d+ (second|minute|hour|day|week|month|year)s? ago\b|\bin \d+ (second|minute|hour|day|week|month|year)s?\b/g, 'TIME').replace(/(< )?\b\d+ (h|min|s|ms)( \d+ (min|s))?\b/g, 'DURATION')
    .replace(/(?<![%\w])\d+(\.\d+)?\s?(B|bytes|KiB|MiB|GiB|TiB)(?![A-Za-z])/g, 'SIZE').replace(/(< )?\b\d+(\.\d+)?\s?%/g, 'PERCENT')
    .replace(/\b\d{1,3}(,\d{3})+\b/g, 'NUMBER').replace(/Version \d[\w.+-]*/g, 'Version VERSION').replace(/definition: \d+\.\d+\.\d+\S*$/gm, 'definition: VERSION')
    .replace(/\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b/g, 'DAY').replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? ?(DAY|\d+)/g, 'DAY');
}

/** The first rows of a long table tell as much as all of them. */
const ROWS = 4;
function shortened(text) {
  const kept = [];
  const rows = [];
  let skipping = Infinity;
  for (const line of text.split('\n')) {
    const depth = line.search(/\S/);
    if (depth > skipping) continue;
    skipping = Infinity;
    rows.length = Math.min(rows.length, depth + 1);
    if (/^'?- '?row /.test(line.trimStart())) {
      rows[depth] = (rows[depth] ?? 0) + 1;
      if (rows[depth] > ROWS) {
        if (rows[depth] === ROWS + 1) kept.push(`${' '.repeat(depth)}- more rows`);
        skipping = depth;
        continue;
      }
    }
    kept.push(line);
  }
  return kept.join('\n');
}

async function like(name, locator) {
  const file = path.join(GOLDEN, `${name}.yml`);
  const look = async () => `${shortened(masked(await locator.ariaSnapshot()))}\n`;
  if (process.env.UPDATE_GOLDEN) {
    mkdirSync(GOLDEN, { recursive: true });
    let text = await look();
    // What still changes is not written.
    for (let same = 0; same < 3;) {
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      const next = await look();
      same = next === text ? same + 1 : 0;
      text = next;
    }
    writeFileSync(file, text);
    return;
  }
  assert.ok(existsSync(file), `no golden/${name}.yml: UPDATE_GOLDEN=1 tests/ui/run golden.test.js writes it`);
  const wanted = readFileSync(file, 'utf8');
  const end = Date.now() + PATIENCE;
  let text = await look();
  while (text !== wanted && Date.now() < end) {
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    text = await look();
  }
  assert.equal(text, wanted, `${name}: the accessible tree is another one`);
}

test('the accessible tree of every page is its golden file', async () => {
  const page = await browser.open(server, { timezoneId: 'UTC' });
  await steady(page);
  await page.visit('#/settings');
  await like('frame', page.locator('body'));
  for (const [name, address] of PAGES) {
    await page.visit(address);
    await like(name, page.locator('main'));
  }
  await page.close_();
  const out = await browser.open(server, { signIn: false });
  await out.visit('');
  await like('sign-in', out.locator('body'));
  await out.close_();
});
