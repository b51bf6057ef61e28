// What the console's link carries, behind the # where no server sees it, and what this page is pinned to.

import { decodeObject, encodeTexts } from "./canonical.js";
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

// Where an answer is saved as a file instead: at the founding there is no console yet.
export const FILE = "file";

// Nothing, if the link is of this deployment and leads back to its console; or to a file, where that may be.
export function ours({ deployment, origin }, mayBeFile = false) {
  if (deployment !== pinned("deployment")) throw new Unreadable("The request belongs to another deployment.");
  if (origin !== pinned("console") && !(mayBeFile && origin === FILE)) {
    throw new Unreadable("The link did not come from this deployment’s console.");
  }
}

// Make a link save these texts, in their canonical encoding, under a name that says whose they are.
export function saving(anchor, type, members, whose) {
  const bytes = encodeTexts(new Map(Object.entries({ ...members, type })));
  anchor.href = URL.createObjectURL(new Blob([bytes], { type: "application/json" }));
  anchor.download = `${type.replace("/1", "")}-${whose.replace(/[^A-Za-z0-9]+/g, "-")}.json`;
}
