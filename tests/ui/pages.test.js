// Every page: no accessibility fault, no console error, no request to elsewhere, no sideways scrolling; pictures of all.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Browser, Server } from './harness.js';

const PAGES = [['overview', '#/'], ['about', '#/about']];

describe('pages of an empty installation', () => {
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

  for (const size of ['wide', 'phone']) {
    for (const theme of ['light', 'dark']) {
      test(`sign-in, ${size}, ${theme}`, async () => {
        const page = await browser.open(server, { size, theme, signIn: false });
        await page.visit('');
        assert.equal(new URL(page.url()).hash, '#/sign-in');
        await page.judge('sign-in');
        await page.close_();
      });
      test(`signed in, ${size}, ${theme}`, async () => {
        const page = await browser.open(server, { size, theme });
        for (const [name, address] of PAGES) {
          await page.visit(address);
          await page.judge(`empty-${name}`);
        }
        await page.close_();
      });
    }
  }
});
