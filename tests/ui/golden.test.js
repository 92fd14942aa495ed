// The tree that screen readers are given of every page, equal to its golden file.
//
// UPDATE_GOLDEN=1 writes golden/NAME.yml anew; look at what changed before committing it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser, PATIENCE, Server } from './harness.js';
import { PAGES, fillAll } from './every-page.js';

const GOLDEN = path.join(path.dirname(fileURLToPath(import.meta.url)), 'golden');
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

/** What differs from run to run: ids, times, sizes, addresses, figures of this machine. */
function masked(text) {
  return text
    .replaceAll(server.data, 'DATA').replaceAll(server.base, 'BASE').replaceAll(server.base.replace('http://', ''), 'HOST')
    .replace(/fp:[0-9a-f]+/g, 'FINGERPRINT').replace(/pht?_[A-Za-z0-9]+…?|[a-z]{2,6}_[A-Za-z0-9]{4,}…/g, 'PREFIX')
    .replace(/starting [0-9a-f]{4}…/g, 'starting HEX…').replace(/\b[0-9a-f]{64}\b/g, 'DIGEST').replace(/\b[0-9a-f]{24}\b/g, 'ID').replace(/\b[0-9a-f]{12}\b/g, 'DIGEST')
    .replace(/\b[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b/g, (found) => (/^0F1E2D3C/i.test(found) ? found : 'UUID'))
    .replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?/g, 'TIME').replace(/\b\d{4}-\d\d-\d\d\b/g, 'DATE')
    .replace(/\bjust now\b|\b\d+ (second|minute|hour)s? ago\b|\bin \d+ (second|minute|hour|day)s?\b|\byesterday\b/g, 'TIME').replace(/\b(\d+ ms|\d+(\.\d+)? s|\d+ min)\b/g, 'DURATION')
    .replace(/\b\d+(\.\d+)?\s?(B|bytes|KiB|MiB|GiB|TiB)(?![A-Za-z])/g, 'SIZE').replace(/\b\d+(\.\d+)?\s?%/g, 'PERCENT')
    .replace(/\b\d{1,3}(,\d{3})+\b/g, 'NUMBER').replace(/\bArtifacts \d+/g, 'Artifacts N').replace(/\b\d+ artifacts?\b/g, 'N artifacts')
    .replace(/Good (night|morning|afternoon|evening)/g, 'Good DAY').replace(/Version \d[\w.+-]*/g, 'Version VERSION')
    .replace(/\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b/g, 'DAY').replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? ?(DAY|\d+)/g, 'DAY');
}

/** The first rows of a long table tell as much as all of them. */
function shortened(text) {
  const kept = [];
  const rows = [];
  let skipping = Infinity;
  for (const line of text.split('\n')) {
    const depth = line.search(/\S/);
    if (depth > skipping) continue;
    skipping = Infinity;
    rows.length = Math.min(rows.length, depth + 1);
    if (line.trimStart().startsWith('- row ')) {
      rows[depth] = (rows[depth] ?? 0) + 1;
      if (rows[depth] > 6) {
        if (rows[depth] === 7) kept.push(`${' '.repeat(depth)}- more rows`);
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
  const page = await browser.open(server);
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
