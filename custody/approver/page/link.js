// What the console's link carries, behind the # where no server sees it, and what this page is pinned to.

import { decodeObject } from "./canonical.js";
import { Unreadable } from "./shapes.js";
import { fromBase64url } from "./statement.js";

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const NONCE = /^[0-9a-f]{64}$/;

// A value that the server wrote into the page.
export const pinned = (name) => document.querySelector(`meta[name="countersign-${name}"]`).content;

// The link's texts by name; Unreadable where it has not exactly these.
export function linkIn(fragment, names) {
  const bytes = fromBase64url(fragment.replace(/^#/, ""));
  if (bytes === null || bytes.length === 0) throw new Unreadable("The link carries no request.");
  const link = decodeObject(bytes);
  if (link.size !== names.length || !names.every((name) => typeof link.get(name) === "string")) {
    throw new Unreadable("The link carries something else than a request.");
  }
  return Object.fromEntries(names.map((name) => [name, link.get(name)]));
}

// Nothing, if the link is of this deployment and leads back to its console.
export function ours({ deployment, origin }) {
  if (deployment !== pinned("deployment")) throw new Unreadable("The request belongs to another deployment.");
  if (origin !== pinned("console")) throw new Unreadable("The link did not come from this deployment’s console.");
}
