// Every page of a box in use as those see it who do not see it: the tree that screen readers are given, equal to its
// golden file, and a walk through it with nothing but the keyboard.
//
// UPDATE_GOLDEN=1 writes golden/NAME.yml anew; look at what changed before committing it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser, Server } from './harness.js';
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
  assert.ok(existsSync(file), `no golden/${name}.yml: UPDATE_GOLDEN=1 tests/ui/run pages-walk.test.js writes it`);
  const wanted = readFileSync(file, 'utf8');
  const end = Date.now() + 30_000;
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

/** What the keyboard must reach in `main`, in the order of the document; each is marked with its number. */
const interactive = () => {
  const shown = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest('[inert]');
  const groups = new Set();
  const all = [...document.querySelector('main').querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')].filter((node) => {
    if (!shown(node) || node.disabled || node.tabIndex < 0 || node.type === 'hidden') return false;
    if (node.type !== 'radio') return true;
    if (groups.has(node.name)) return false;
    groups.add(node.name);
    return true;
  });
  globalThis.walked = [];
  all.forEach((node, at) => { node.dataset.testsStop = at; });
  document.addEventListener('focusin', globalThis.walker ??= ({ target }) => {
    const style = getComputedStyle(target);
    const box = target.getBoundingClientRect();
    const on = document.elementFromPoint(Math.min(innerWidth - 1, Math.max(0, box.x + Math.min(box.width / 2, 200))), Math.min(innerHeight - 1, Math.max(0, box.y + box.height / 2)));
    const label = target.labels?.[0];
    globalThis.walked.push({
      stop: target.dataset.testsStop ?? null, inside: Boolean(target.closest('main')), scrolls: target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight,
      ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2, seen: Boolean(on && (target.contains(on) || on.contains(target) || label?.contains(on))),
      box: { left: box.left, right: box.right, top: box.top + scrollY, bottom: box.bottom + scrollY }, html: target.outerHTML.slice(0, 120),
    });
  });
  const start = document.querySelector('main h1');
  start.tabIndex = -1;
  start.focus();
  globalThis.walked.length = 0;
  return all.map((node) => node.outerHTML.slice(0, 120));
};

test('the keyboard reaches everything on every page, in the order it is seen, with a visible focus', async () => {
  const page = await browser.open(server);
  for (const [name, address] of PAGES) {
    await page.visit(address);
    const wanted = await page.evaluate(interactive);
    const limit = wanted.length + 40;
    let walked = [];
    for (let pressed = 0; pressed < limit && !walked.some((one) => !one.inside);) {
      for (let many = 0; many < 10; many += 1, pressed += 1) await page.keyboard.press('Tab');
      walked = await page.evaluate(() => globalThis.walked);
      if (walked.length < pressed - 10) break;
    }
    const left = walked.findIndex((one) => !one.inside);
    const inside = left < 0 ? walked : walked.slice(0, left);
    const reached = inside.filter((one) => one.stop !== null).map((one) => Number(one.stop));
    const missed = wanted.filter((_, at) => !reached.includes(at));
    assert.deepEqual(missed, [], `${name}: not reached by Tab`);
    assert.deepEqual(reached, [...reached].sort((a, b) => a - b), `${name}: the order of the document`);
    assert.deepEqual(inside.filter((one) => one.stop === null && !one.scrolls).map((one) => one.html), [], `${name}: nothing else takes the focus`);
    assert.deepEqual(inside.filter((one) => !one.ring).map((one) => one.html), [], `${name}: the focus is seen`);
    assert.deepEqual(inside.filter((one) => !one.seen).map((one) => one.html), [], `${name}: what has the focus is not covered`);
    const back = inside.filter((one, at) => {
      const before = inside[at - 1]?.box;
      if (!before || one.stop === null) return false;
      // Down, or to the right: also to the top of the next column.
      const above = one.box.bottom <= before.top + 1 && one.box.left < before.left;
      const leftOf = one.box.right <= before.left + 1 && one.box.top < before.bottom - 4 && one.box.bottom > before.top + 4;
      return above || leftOf;
    });
    assert.deepEqual(back.map((one) => one.html), [], `${name}: the order it is seen in`);
    assert.ok(left >= 0 || walked.length < limit, `${name}: the focus is trapped`);
  }
  await page.close_();
});

test('what a page is for is done by keys: Enter opens it, Escape closes it, the focus comes back', async () => {
  const page = await browser.open(server);
  let opened = 0;
  for (const [name, address] of PAGES) {
    await page.visit(address);
    const main = page.locator('.page-head button.button-primary').first();
    // That of an upstream begins a sync and opens nothing.
    if (name === 'upstream' || !(await main.count()) || !(await main.isVisible())) continue;
    await main.focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('dialog[open]')?.contains(document.activeElement), null, { timeout: 30_000 }).catch((error) => { throw new Error(`${name}: ${error.message}`); });
    opened += 1;
    assert.ok(await page.evaluate(() => document.activeElement.matches('input, select, textarea, button')), `${name}: the focus is on something to use`);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement?.matches('.page-head button.button-primary')).catch((error) => { throw new Error(`${name}: the focus did not come back. ${error.message}`); });
  }
  assert.ok(opened >= 8, `${opened} pages have a main action`);
  await page.close_();
});
