// What the passkey signs: verb, kind, deployment, nonce and the digest of the payload, under one domain tag.
// kernel/approval.py computes the same for the servers and the signers.

import { encodeTexts } from "./canonical.js";

const DOMAIN_TAG = new TextEncoder().encode("countersign/approval/v1\0");
const REGISTRATION_TAG = new TextEncoder().encode("countersign/registration/v1\0");
const FINGERPRINT_TAG = new TextEncoder().encode("countersign/passkey/v1\0");

// SHA-256 of the payload's bytes.
export async function digestOf(payload) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", payload));
}

// The challenge of a statement; `nonce` is the text (lower-case hex) that the request carries.
export async function challengeOf({ verb, kind, deployment, nonce, digest }) {
  const statement = encodeTexts(
    new Map([["verb", verb], ["kind", kind], ["deployment", deployment], ["nonce", nonce], ["digest", hex(digest)]]),
  );
  return tagged(DOMAIN_TAG, statement);
}

// The challenge over which a new passkey is made: one deployment, one officer, one invitation.
// kernel/registration.py computes the same, and the fingerprint below.
export async function registrationOf({ deployment, officer, nonce }) {
  return tagged(REGISTRATION_TAG, encodeTexts(new Map([["deployment", deployment], ["officer", officer], ["nonce", nonce]])));
}

// By what people know a passkey again: 32 hex digits for the public key's 65 bytes.
export async function fingerprintOf(point) {
  return hex((await tagged(FINGERPRINT_TAG, point)).subarray(0, 16));
}

// SHA-256 of the tag, which ends in a zero byte, and what follows it.
async function tagged(tag, bytes) {
  const message = new Uint8Array(tag.length + bytes.length);
  message.set(tag);
  message.set(bytes, tag.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", message));
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The bytes of hex that was checked before.
export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
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
