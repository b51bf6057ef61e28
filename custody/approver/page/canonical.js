// Canonical encoding, version 1: reads only the one encoding that a value has, and refuses everything else.
// kernel/canonical.py is the other reader of these bytes; fixtures/vectors/canonical.json holds the two together.

const LARGEST_INTEGER = Number.MAX_SAFE_INTEGER;
const DEPTH_MAX = 16;
const LENGTH_MAX = 256 * 1024;

export class NotCanonical extends Error {
  name = "NotCanonical";
}

// The value of canonical bytes. Objects become Maps, so that no member's name means anything to JavaScript.
export function decode(bytes) {
  if (bytes.length > LENGTH_MAX) throw new NotCanonical(`longer than ${LENGTH_MAX} bytes`);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new NotCanonical("not UTF-8");
  }
  const reader = new Reader(text);
  const value = reader.value(0);
  if (reader.at !== text.length) throw new NotCanonical(`something follows at ${reader.at}`);
  return value;
}

// The same, for the usual case of an object at the top.
export function decodeObject(bytes) {
  const value = decode(bytes);
  if (!(value instanceof Map)) throw new NotCanonical("an object was expected");
  return value;
}

// The canonical bytes of a flat Map from text to text, which is all that this page ever writes.
export function encodeTexts(members) {
  const names = [...members.keys()].sort(byCodePoints);
  const parts = names.map((name) => `${quoted(name)}:${quoted(members.get(name))}`);
  return new TextEncoder().encode(`{${parts.join(",")}}`);
}

function quoted(text) {
  if (typeof text !== "string" || !text.isWellFormed()) throw new NotCanonical("not text");
  const escaped = text.replace(/["\\\u0000-\u001f]/g, (found) =>
    found === '"' || found === "\\" ? `\\${found}` : `\\u${found.codePointAt(0).toString(16).padStart(4, "0")}`,
  );
  return `"${escaped}"`;
}

// UTF-16 order, JavaScript's own, differs from the order of code points above U+FFFF.
function byCodePoints(one, other) {
  const left = Array.from(one), right = Array.from(other);
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const apart = left[at].codePointAt(0) - right[at].codePointAt(0);
    if (apart !== 0) return apart;
  }
  return left.length - right.length;
}

class Reader {
  at = 0;

  constructor(text) {
    this.text = text;
  }

  value(depth) {
    if (depth > DEPTH_MAX) throw new NotCanonical(`deeper than ${DEPTH_MAX} levels`);
    switch (this.text[this.at]) {
      case "{": return this.object(depth);
      case "[": return this.list(depth);
      case '"': return this.string();
      case "t": return this.word("true", true);
      case "f": return this.word("false", false);
      case "n": return this.word("null", null);
      default: return this.integer();
    }
  }

  object(depth) {
    const found = new Map();
    let before = null;
    this.at++;
    if (this.text[this.at] === "}") return this.past(found);
    for (;;) {
      if (this.text[this.at] !== '"') throw new NotCanonical(`a name was expected at ${this.at}`);
      const name = this.string();
      if (before !== null && byCodePoints(before, name) >= 0) {
        throw new NotCanonical(`names out of order or repeated at ${this.at}`);
      }
      before = name;
      if (this.text[this.at] !== ":") throw new NotCanonical(`a colon was expected at ${this.at}`);
      this.at++;
      found.set(name, this.value(depth + 1));
      if (this.text[this.at] === "}") return this.past(found);
      this.comma();
    }
  }

  list(depth) {
    const found = [];
    this.at++;
    if (this.text[this.at] === "]") return this.past(found);
    for (;;) {
      found.push(this.value(depth + 1));
      if (this.text[this.at] === "]") return this.past(found);
      this.comma();
    }
  }

  string() {
    let found = "";
    for (this.at++; ; ) {
      const plain = /[^"\\\u0000-\u001f]*/y;
      plain.lastIndex = this.at;
      found += plain.exec(this.text)[0];
      this.at = plain.lastIndex;
      const next = this.text[this.at];
      if (next === '"') return this.past(found);
      if (next !== "\\") throw new NotCanonical(`a string breaks off at ${this.at}`);
      found += this.escaped();
    }
  }

  escaped() {
    const two = this.text.slice(this.at, this.at + 2);
    if (two === '\\"' || two === "\\\\") {
      this.at += 2;
      return two[1];
    }
    const six = this.text.slice(this.at, this.at + 6);
    if (!/^\\u00[01][0-9a-f]$/.test(six)) throw new NotCanonical(`a needless escape at ${this.at}`);
    this.at += 6;
    return String.fromCodePoint(Number.parseInt(six.slice(2), 16));
  }

  integer() {
    const pattern = /0|-?[1-9][0-9]*/y;
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw new NotCanonical(`no value at ${this.at}`);
    const exact = BigInt(found[0]);
    if (exact > BigInt(LARGEST_INTEGER) || exact < -BigInt(LARGEST_INTEGER)) {
      throw new NotCanonical("an integer too large to be one");
    }
    this.at = pattern.lastIndex;
    return Number(exact);
  }

  word(text, value) {
    if (!this.text.startsWith(text, this.at)) throw new NotCanonical(`no value at ${this.at}`);
    this.at += text.length;
    return value;
  }

  comma() {
    if (this.text[this.at] !== ",") throw new NotCanonical(`a comma was expected at ${this.at}`);
    this.at++;
  }

  past(value) {
    this.at++;
    return value;
  }
}
