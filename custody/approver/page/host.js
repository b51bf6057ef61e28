// What this page’s own host knows beside the request, in which the console has no part: what an officer is called (a
// payload has the id alone, and the signers’ registry, of which a copy lies there, the name), and who rejected the same.

import { visible } from "./shapes.js";

// These lines, with a name before each officer’s id; where nobody can say one, that stands there.
export async function named(lines, ask = fetch) {
  const found = await Promise.all(lines.map(async (one) => (
    one.form === "officer" ? [await nameOf(one.value, ask), { ...one, form: "mono" }] : [one]
  )));
  return found.flat();
}

async function nameOf(id, ask) {
  const line = (value, note) => ({ label: "Officer", value, form: "text", note });
  try {
    const answer = await ask(`/officer/${id}`);
    if (answer.status === 404) return line("nobody in the registry on this page’s own host", "Do not sign unless you know why.");
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
    const each = by.map(({ name, at_ms }) => `${visible(name)} (${new Date(Number(at_ms)).toISOString().slice(0, 16).replace("T", " ")} UTC)`);
    return each.length === 0 ? "" : `Rejected before, on this page: by ${each.join(", ")}. Ask them why before you agree, by another channel than the console.`;
  } catch {
    return "Whether somebody rejected this before is not known: this page’s host could not read it.";
  }
}
