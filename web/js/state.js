// Who is signed in and what this server is. One object, changed by main.js, sign-in and setup; `watch` hears of changes.
//
// The session lives in this page's memory and in the browser's per-tab storage, never in a cookie or an address.

const KEY = 'packhouse.session';
const watchers = new Set();

export const state = {
  /** The Bearer of the login, or null. */
  bearer: null,
  /** What `GET /ui/api/session` answered: {id, username, role, operator, tenant, owner, permissions, base, version}. */
  user: null,
  /** Whether this server still waits for its first owner. */
  setup: false,
};

export function change(values) {
  Object.assign(state, values);
  for (const watcher of watchers) watcher(state);
}

export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Keeps or forgets the Bearer. */
export function setBearer(bearer) {
  try {
    if (bearer) sessionStorage.setItem(KEY, bearer);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Without storage the session ends with the page.
  }
  change(bearer ? { bearer } : { bearer: null, user: null });
}

export function storedBearer() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Whether whoever is signed in may see a route of this kind. */
export function mayVisit(who) {
  const { user } = state;
  if (who === 'open') return true;
  if (!user) return false;
  if (who === 'operator') return Boolean(user.operator);
  return who === 'team' || user.role === 'owner';
}

/** What links and snippets begin with: the public address when one is set, else this page's own. */
export function base() {
  return state.user?.base || location.origin;
}

/** A choice of this person in this browser (theme, last tab); `fallback` when there is none. */
export function choice(name, fallback = null) {
  try {
    return localStorage.getItem(`packhouse.${name}`) ?? fallback;
  } catch {
    return fallback;
  }
}

export function choose(name, value) {
  try {
    if (value === null) localStorage.removeItem(`packhouse.${name}`);
    else localStorage.setItem(`packhouse.${name}`, value);
  } catch {
    // The choice holds until the page is left.
  }
}
