// Every page of a box in use by those who use nothing but the keyboard: everything is reached in the order it is seen,
// with a focus that is seen too, and what a page is for is done by keys.
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
    await page.waitForFunction(() => document.querySelector('dialog[open]')?.contains(document.activeElement)).catch((error) => { throw new Error(`${name}: ${error.message}`); });
    opened += 1;
    assert.ok(await page.evaluate(() => document.activeElement.matches('input, select, textarea, button')), `${name}: the focus is on something to use`);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement?.matches('.page-head button.button-primary')).catch((error) => { throw new Error(`${name}: the focus did not come back. ${error.message}`); });
  }
  assert.ok(opened >= 8, `${opened} pages have a main action`);
  await page.close_();
});
