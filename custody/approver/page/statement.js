// What the passkey signs: verb, kind, deployment, nonce and the digest of the payload, under one domain tag.
// kernel/approval.py computes the same for the servers and the signers.

import { encodeTexts } from "./canonical.js";

const DOMAIN_TAG = new TextEncoder().encode("countersign/approval/v1\0");

// SHA-256 of the payload's bytes.
export async function digestOf(payload) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", payload));
}

// The challenge of a statement; `nonce` is the text (lower-case hex) that the request carries.
export async function challengeOf({ verb, kind, deployment, nonce, digest }) {
  const statement = encodeTexts(
    new Map([["verb", verb], ["kind", kind], ["deployment", deployment], ["nonce", nonce], ["digest", hex(digest)]]),
  );
  const message = new Uint8Array(DOMAIN_TAG.length + statement.length);
  message.set(DOMAIN_TAG);
  message.set(statement, DOMAIN_TAG.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", message));
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function base64url(bytes) {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// The bytes of unpadded base64url; null for every other text, a second spelling of the same bytes included.
export function fromBase64url(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(raw, (character) => character.charCodeAt(0));
  return base64url(bytes) === text ? bytes : null;
}
