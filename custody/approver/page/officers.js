// What an officer is called. A payload has the id alone; the signers’ registry, of which a copy lies on this page’s
// own host, has the name. The console has no part in it.

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
