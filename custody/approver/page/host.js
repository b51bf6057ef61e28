// What this page’s own host knows beside the request, in which the console has no part: what an officer is called (a
// payload has the id alone, and the signers’ registry, of which a copy lies there, the name), who rejected the same, and
// whom officers suspended here.

import { visible } from "./shapes.js";

// These lines, with a name before each officer’s id, and before each id of somebody on the staff, whom the console names;
// where nobody can say one, that stands there.
export async function named(lines, ask = fetch) {
  const found = await Promise.all(lines.map(async (one) => (
    Object.hasOwn(UNKNOWN, one.form) ? [await nameOf(one, ask), { ...one, form: "mono" }] : [one]
  )));
  return found.flat();
}

// What it means that the registry knows nobody of that id. Most of the staff sign for no signer, so they are not in it.
const UNKNOWN = {
  officer: ["Officer", "Do not sign unless you know why."],
  person: ["Known here as", "So it is none of the officers who sign here, whatever the name above says."],
};

async function nameOf({ value: id, form }, ask) {
  const [label, meaning] = UNKNOWN[form];
  const line = (value, note) => ({ label, value, form: "text", note });
  try {
    const answer = await ask(`/officer/${id}`);
    if (answer.status === 404) return line("nobody in the registry on this page’s own host", meaning);
    if (!answer.ok) throw new Error(answer.statusText);
    const { name, registry } = await answer.json();
    return line(visible(name), `As registry ${registry}, on this page’s own host, calls them.`);
  } catch {
    return line("not known", "This page’s host could not read its registry: compare the id below.");
  }
}

// Who has rejected the same on this page before, as a sentence; none where nobody has. Some requests take more than one
// rejection, and not everybody’s counts: so this keeps nobody from signing, and tells them to ask.
export async function rejectedBefore({ nonce, digest }, ask = fetch) {
  try {
    const answer = await ask(`/rejected/${nonce}/${digest}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const { by } = await answer.json();
    return by.length === 0 ? "" : `Rejected before, on this page: by ${people(by)}. Ask them why before you agree, by another channel than the console.`;
  } catch {
    return "Whether somebody rejected this before is not known: this page’s host could not read it.";
  }
}

// Whom officers suspended on this page, and this order of a reopening does not name, as a sentence; none where that is
// nobody, or where the act names no suspended. The console says whom it names: it may leave out whose key it has.
export async function leftOut({ maker, suspended }, ask = fetch) {
  if (suspended === null) return "";
  try {
    const answer = await ask(`/suspended/${maker}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const missing = (await answer.json()).suspended.filter(({ id }) => !suspended.includes(id));
    const each = missing.map(({ name, by, released_by }) => `${visible(name)}, suspended by ${people(by)}${
      released_by.length === 0 ? ", and nobody signed here that they may count again" : `; since then ${people(released_by)} signed that they may count again`}`);
    return each.length === 0 ? "" : `Suspended on this page, and not named above: ${each.join(". ")}. If they are not to count, reject this, and ask the maker by another channel than the console why they are left out.`;
  } catch {
    return "Whether this leaves out somebody who was suspended on this page is not known: its host could not say it.";
  }
}

const people = (found) => found.map(({ name, at_ms }) => (
  `${visible(name)} (${new Date(Number(at_ms)).toISOString().slice(0, 16).replace("T", " ")} UTC)`
)).join(", ");
