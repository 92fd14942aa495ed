// Starts the real program with fresh data and a browser that looks at it; judges every page it visits.
//
//   const server = await Server.start({ setup: false })        own port and data; server.base, server.token, server.owner
//   await server.stop(); await server.restart()
//   const api = await server.signIn()                          → fetch with the owner's login: api('/app/list'), api.json(…)
//   const browser = await Browser.start()
//   const page = await browser.open(server, { size: 'wide' | 'phone' | 'narrow', theme: 'light' | 'dark', signIn: true })
//   await page.visit('#/catalog')                              waits until the page stands
//   await page.judge('catalog')                                axe, console errors, foreign requests, sideways scroll, picture
//
// `page` is Playwright's page with these additions. Pictures go to target/ui/NAME-SIZE-THEME.png.
import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
export const PICTURES = path.join(target, 'ui');
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const SIZES = { wide: { width: 1280, height: 800 }, phone: { width: 390, height: 844 }, narrow: { width: 320, height: 640 } };
export const OWNER = { username: 'ann', password: 'a long walk by the sea' };
export const TOKEN = 'ui-tests-admin-token-0123456789abcdef';

function binary() {
  const named = process.env.PACKHOUSE;
  const found = [named, ...['quick', 'release', 'debug'].map((profile) => path.join(target, profile, 'packhouse'))].find((file) => file && existsSync(file));
  assert.ok(found, 'build the program first: cargo build --profile quick');
  return found;
}

function browserPath() {
  const found = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => file && existsSync(file));
  assert.ok(found, 'install chromium, or name it by CHROMIUM=path');
  return found;
}

/** How long anything is waited for: a guard against what never comes, met in time by the slowest machine. */
export const PATIENCE = Number(process.env.UI_PATIENCE ?? 120) * 1000;

/** Asks `check` again until it answers something. */
export async function waitFor(what, check) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain for ${typeof what === 'function' ? what() : what}`);
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
}

/** A port below those the system hands out by itself: nobody else gets it while a server is stopped and started. */
let lastPort = 20_000 + Math.floor(Math.random() * 10_000);
function nextPort() {
  lastPort = lastPort >= 31_990 ? 20_000 : lastPort + 1 + Math.floor(Math.random() * 7);
  return lastPort;
}

export class Server {
  /** Starts one. `setup: true` leaves the first owner to the browser; then `setupLink` is the printed link. */
  static async start({ setup = false, args = [], env = {} } = {}) {
    const server = new Server();
    server.data = await mkdtemp(path.join(tmpdir(), 'packhouse-ui-'));
    server.args = args;
    server.env = setup ? env : { PACKHOUSE_ADMIN_USER: OWNER.username, PACKHOUSE_ADMIN_PASSWORD: OWNER.password, PACKHOUSE_ADMIN_TOKEN: TOKEN, PACKHOUSE_SIGNUP_KEY: 'ui-tests-signup', ...env };
    server.owner = OWNER;
    server.token = TOKEN;
    for (let left = 50; ; left -= 1) {
      server.port = nextPort();
      try {
        await server.#run();
        // It is printed in a line of its own, which may come after the others.
        if (setup) server.setupLink = await waitFor('the link to the setup', () => /(https?:\/\/\S+\/ui\/#\/setup\S+)\s/.exec(server.output)?.[1]);
        return server;
      } catch (error) {
        if (!/in use|EADDRINUSE/i.test(server.output) || left === 0) throw error;
      }
    }
  }

  async #run() {
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PACKHOUSE_')));
    this.child = spawn(binary(), ['serve', '--data', this.data, '--listen', `127.0.0.1:${this.port}`, '--web-dir', path.join(root, 'web'), ...this.args], { env: { ...clean, RUST_LOG: 'warn', ...this.env } });
    this.output = '';
    this.child.stdout.on('data', (text) => { this.output += text; });
    this.child.stderr.on('data', (text) => { this.output += text; });
    this.ended = new Promise((resolve) => { this.child.on('exit', resolve); });
    this.base = await waitFor(() => `the server to listen\n${this.output}`, () => {
      assert.equal(this.child.exitCode, null, this.output);
      return /listening on (http:\/\/\S+)\n/.exec(this.output)?.[1];
    });
    this.secure = this.args.includes('--tls-listen') ? await waitFor('HTTPS', () => /listening on (https:\/\/\S+)\n/.exec(this.output)?.[1]) : null;
  }

  /** Ends the program and keeps its data. */
  async halt() {
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    await this.ended;
  }

  /** Starts it again on the same port. */
  async resume() {
    await this.#run();
  }

  async restart() {
    await this.halt();
    await this.resume();
  }

  async stop() {
    await this.halt();
    await rm(this.data, { recursive: true, force: true });
  }

  /** Logs in over the wire; answers a function that asks with that login. */
  async signIn({ username, password } = this.owner) {
    const answer = await fetch(`${this.base}/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username, password }) });
    assert.equal(answer.status, 200, await answer.clone().text());
    const { token } = await answer.json();
    const ask = (where, init = {}) => {
      const headers = { Authorization: `Bearer ${token}`, ...init.headers };
      let { body } = init;
      if (body && body.constructor === Object) {
        headers['Content-Type'] = 'application/json';
        body = JSON.stringify(body);
      }
      return fetch(this.base + where, { ...init, headers, body });
    };
    ask.bearer = token;
    ask.json = async (where, init) => {
      const response = await ask(where, init);
      const text = await response.text();
      assert.ok(response.ok, `${init?.method ?? 'GET'} ${where}: ${response.status} ${text}`);
      return text && /json/.test(response.headers.get('content-type')) ? JSON.parse(text) : text;
    };
    return ask;
  }
}

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: browserPath(), args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
    await mkdir(PICTURES, { recursive: true });
    return browser;
  }

  async stop() {
    await this.chromium.close();
  }

  /** A fresh tab. `signIn` takes true (the owner), false, or {username, password}. */
  async open(server, { size = 'wide', theme = 'light', signIn = true, reducedMotion = 'reduce', timezoneId } = {}) {
    const context = await this.chromium.newContext({ viewport: SIZES[size], colorScheme: theme, reducedMotion, baseURL: server.base, timezoneId });
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.base }).catch(() => {});
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    // A slow machine finds races: UI_SLOW=6 makes the pages take six times as long.
    if (process.env.UI_SLOW) await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: Number(process.env.UI_SLOW) });
    page.troubles = [];
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) page.troubles.push(`console ${message.type()}: ${message.text()}`); });
    page.on('pageerror', (error) => page.troubles.push(`uncaught: ${error.message}`));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== server.base) page.troubles.push(`foreign request: ${request.url()}`);
    });
    if (signIn) {
      const api = await server.signIn(signIn === true ? undefined : signIn);
      page.api = api;
      await page.addInitScript((token) => {
        if (!sessionStorage.getItem('tests.signed-in')) {
          sessionStorage.setItem('tests.signed-in', 'yes');
          sessionStorage.setItem('packhouse.session', token);
        }
      }, api.bearer);
    }
    page.visit = async (address) => {
      const url = `${server.base}/ui/${address}`;
      if (page.url().startsWith(`${server.base}/ui/`)) {
        // The page that stands now is marked, so that it is not taken for the one asked for.
        await page.evaluate((hash) => {
          document.querySelector('main')?.firstElementChild?.setAttribute('data-tests-old', '');
          if (location.hash === hash) dispatchEvent(new HashChangeEvent('hashchange'));
          else location.hash = hash;
        }, address || '#/');
        await page.waitForFunction(() => !document.querySelector('[data-tests-old]'));
      } else await page.goto(url);
      await page.settle();
    };
    page.settle = async () => {
      // `main` is busy from the change of the address until the page stands, tables and tabs while they load.
      await page.waitForFunction(() => document.querySelector('main h1') && !document.querySelector('.skeleton, [data-busy], [aria-busy]') && [...document.images].every((image) => image.complete));
    };
    const excused = [];
    /** From now on troubles like these are expected: what a test forces (a 500, a stopped server). */
    page.excuse = (pattern) => excused.push(pattern);
    page.judge = async (name) => {
      // What lies beneath the line at the top depends on how far one has scrolled.
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: path.join(PICTURES, `${name}-${size}-${theme}.png`), fullPage: true });
      const violations = await page.evaluate(async (source) => {
        if (!globalThis.axe) (0, eval)(source);
        const found = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
        return found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
      }, AXE).catch((error) => [`axe did not run: ${error.message}`]);
      assert.deepEqual(violations, [], `${name} ${size} ${theme}: accessibility`);
      const troubles = page.troubles.filter((text) => !excused.some((pattern) => pattern.test(text)));
      assert.deepEqual(troubles, [], `${name} ${size} ${theme}: troubles`);
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(sideways <= 0, `${name} ${size} ${theme}: scrolls sideways by ${sideways} px`);
    };
    page.close_ = () => context.close();
    return page;
  }
}
