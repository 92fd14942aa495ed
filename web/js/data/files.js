// Saving files that need the session: the server gives a link that is good for a short time, and the browser saves it.
import { h } from '../dom.js';
import { api } from '../api.js';
import { announce } from '../parts/toast.js';

/** Lets the browser save what `href` answers. */
export function saveAs(href, name = '') {
  const anchor = h('a', { href, download: name, hidden: true });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}

/** Saves an artifact by its digest. */
export async function saveArtifact(digest, name) {
  try {
    const { address } = await api.post(`/ui/api/artifacts/${digest}/link`, {});
    saveAs(address, name);
  } catch (error) {
    announce(error.message);
  }
}
