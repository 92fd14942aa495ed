// From the address behind `#` to a page and back. Pure but for `go`; main.js listens and shows.
//
// A line is: pattern, name of the module in pages/, place in the rail that is marked, who may see it (`open` everybody,
// `team` whoever is signed in, `owner` owners, `operator` the owner of this installation).

export const ROUTES = [
  ['/', 'overview', '/', 'owner'],
  ['/setup', 'setup', '', 'open'],
  ['/sign-in', 'sign-in', '', 'open'],
  ['/catalog', 'catalog', '/catalog', 'owner'],
  ['/artifact/:digest', 'artifact', '/catalog', 'owner'],
  ['/upload', 'upload', '/catalog', 'owner'],
  ['/apps', 'apps', '/apps', 'team'],
  ['/app-axes', 'app-axes', '/apps', 'team'],
  ['/apps/:app', 'app', '/apps', 'team'],
  ['/apps/:app/:channel/:version', 'release', '/apps', 'team'],
  ['/windows', 'windows', '/windows', 'owner'],
  ['/windows/clients', 'windows-clients', '/windows', 'owner'],
  ['/windows/settings', 'windows-settings', '/windows', 'owner'],
  ['/windows/:id', 'windows-package', '/windows', 'owner'],
  ['/products', 'products', '/products', 'owner'],
  ['/products/:name', 'product', '/products', 'owner'],
  ['/refpacks', 'refpacks', '/refpacks', 'owner'],
  ['/refpacks/:id', 'refpack', '/refpacks', 'owner'],
  ['/repositories', 'repositories', '/repositories', 'owner'],
  ['/repositories/:name', 'repository', '/repositories', 'owner'],
  ['/upstreams/:name', 'upstream', '/repositories', 'owner'],
  ['/jobs', 'jobs', '/jobs', 'owner'],
  ['/jobs/:id', 'job', '/jobs', 'owner'],
  ['/audit', 'audit', '/audit', 'operator'],
  ['/people', 'people', '/people', 'owner'],
  ['/keys', 'keys', '/keys', 'owner'],
  ['/storage', 'storage', '/storage', 'operator'],
  ['/settings', 'settings', '/settings', 'team'],
  ['/about', 'about', '/about', 'team'],
].map(([pattern, page, place, who]) => ({ pattern, page, place, who, pieces: pattern.split('/').slice(1) }));

/** What `#/catalog?kind=deb` means: `{route, params, query, path}`; `route` is null for an address that is nowhere. */
export function match(hash) {
  const text = hash.replace(/^#/, '') || '/';
  const [path, search = ''] = split(text, '?');
  const query = new URLSearchParams(search);
  const raw = path.split('/').slice(1);
  for (const route of ROUTES) {
    const params = fits(route.pieces, raw);
    if (params) return { route, params, query, path };
  }
  return { route: null, params: {}, query, path };
}

function fits(pieces, raw) {
  if (pieces.length !== raw.length) return null;
  const params = {};
  for (const [index, piece] of pieces.entries()) {
    if (!piece.startsWith(':')) {
      if (piece !== raw[index]) return null;
      continue;
    }
    try {
      params[piece.slice(1)] = decodeURIComponent(raw[index]);
    } catch {
      return null;
    }
    if (!raw[index]) return null;
  }
  return params;
}

function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** The address of a place: `link('/artifact/:digest', {digest})`, with `query` values that are empty left out. */
export function link(pattern, params = {}, query = {}) {
  const path = pattern.replace(/:([a-z]+)/gi, (_, name) => encodeURIComponent(params[name] ?? ''));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '' && value !== false) search.set(name, String(value));
  }
  const text = search.toString();
  return `#${path}${text ? `?${text}` : ''}`;
}

/** Goes to an address made by `link`; `replace` leaves no step for the back button. */
export function go(address, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, '', address);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else if (location.hash === address) dispatchEvent(new HashChangeEvent('hashchange'));
  else location.hash = address;
}

/** Changes only the query of the current address, without a new page: filters of a list. */
export function keepQuery(query) {
  const { path } = match(location.hash);
  history.replaceState(null, '', link(path, {}, query));
}
