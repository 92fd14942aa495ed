// The pages of a box in use, by name and address, and a server filled for them.
import { waitFor } from './harness.js';
import { seed } from './seed.js';

const SCANNER = '#/apps/Warehouse%20Scanner';
const COUNTRIES = '#/refpacks/geo%2Fcountry-codes';

/** `[name, address]` of every page; those of artifacts, jobs and repositories are known once the server is filled. */
export const PAGES = [
  ['overview', '#/'], ['catalog', '#/catalog?q=scanner'], ['upload', '#/upload'],
  ['apps', '#/apps'], ['app-axes', '#/app-axes'], ['app', SCANNER], ['app-files', `${SCANNER}?tab=artifacts`], ['app-devices', `${SCANNER}?tab=telemetry`], ['app-connect', `${SCANNER}?tab=connect`], ['app-settings', `${SCANNER}?tab=settings`], ['release', `${SCANNER}/stable/1.2.0`],
  ['windows', '#/windows'], ['windows-package', '#/windows/Contoso.Reader'], ['windows-clients', '#/windows/clients'], ['windows-settings', '#/windows/settings'],
  ['products', '#/products'], ['product', '#/products/toolchain'], ['product-members', '#/products/toolchain?tab=members'], ['product-use', '#/products/toolchain?tab=use'],
  ['refpacks', '#/refpacks'], ['refpack', COUNTRIES], ['refpack-data', `${COUNTRIES}?tab=data`], ['refpack-schema', `${COUNTRIES}?tab=schema`], ['refpack-versions', `${COUNTRIES}?tab=versions`],
  ['repositories', '#/repositories'], ['repository', '#/repositories/files'], ['repository-files', '#/repositories/files?tab=files'], ['repository-setup', '#/repositories/tools?tab=setup'], ['repository-settings', '#/repositories/tools?tab=settings'], ['upstream', '#/upstreams/vendor'],
  ['jobs', '#/jobs'], ['audit', '#/audit'], ['people', '#/people'], ['keys', '#/keys'], ['storage', '#/storage'], ['settings', '#/settings'], ['about', '#/about'],
];

/** Fills a server so that every page has something to show; answers the owner's `ask`. */
export async function fillAll(server) {
  const ask = await server.signIn();
  const send = (where, body) => ask.json(where, { method: 'POST', body });
  for (const [name, type] of [['tools', 'apt'], ['files', 'dir'], ['rpms', 'yum']]) await send('/repo', { name, type });
  for (const name of ['read me.txt', 'tool.tar.gz', '<b>bold</b>.bin']) await ask.json(`/package?filename=${encodeURIComponent(name)}&repo=files`, { method: 'POST', body: new Blob([`bytes of ${name}`]) });
  // It has never been here: what a failed sync looks like belongs to the pages too.
  await send('/upstream?wait=30', { name: 'vendor', type: 'dir', path: `${server.data}/no-such-folder` });
  await waitFor('the failed sync', async () => (await ask.json('/upstream/vendor')).status === 'failed');
  // Last, so that what came latest are files of people and not lists of repositories.
  await seed(server);
  return ask;
}
