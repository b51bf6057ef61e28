// The registration page: makes a passkey of this host for one officer, and shows by what people know it again.
// It decides nothing: what it hands to the console counts once others have approved exactly this key, and a quorum
// has ordered the registry that names it.

import { NotCanonical } from "./canonical.js";
import { asLine, grouped } from "./lines.js";
import { FILE, NONCE, UUID, linkIn, ours, pinned, saving } from "./link.js";
import { Unreadable, visible } from "./shapes.js";
import { base64url, fingerprintOf, fromBase64url, fromHex, registrationOf } from "./statement.js";

const MEMBERS = ["deployment", "known", "name", "nonce", "officer", "registration", "return"];
const ASK_WITHIN_MS = 120_000;
const ES256 = -7;
const VERIFIED = 0x04;
// SubjectPublicKeyInfo of every P-256 key, up to the point itself.
const P256 = fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");

const at = (id) => document.getElementById(id);

class Refused extends Error {}

function asked(fragment) {
  const { deployment, known, name, nonce, officer, registration, return: origin } = linkIn(fragment, MEMBERS);
  if (!NONCE.test(nonce) || !UUID.test(officer) || !UUID.test(registration) || name === "") {
    throw new Unreadable("The invitation has no proper name.");
  }
  ours({ deployment, origin }, true);
  const ids = known === "" ? [] : known.split(" ").map(fromBase64url);
  if (ids.includes(null)) throw new Unreadable("The invitation is damaged.");
  return { deployment, name: visible(name), nonce, officer, registration, known: ids, toFile: origin === FILE };
}

function show({ name, officer, deployment, registration, toFile }) {
  document.title = `A signing passkey for ${name} · Countersign approver`;
  at("headline").textContent = `Make a signing passkey for ${name}`;
  const lines = [
    { label: "Officer", value: name }, { label: "Officer’s id", value: officer, form: "mono" },
    { label: "Deployment", value: deployment }, { label: "For the page", value: pinned("rp-id"), form: "mono" },
  ];
  at("lines").replaceChildren(...lines.flatMap(asLine));
  at("back").href = `${pinned("console")}/authenticators/signing/${registration}/`;
  at("back").hidden = toFile;
  at("then-console").hidden = toFile;
  at("then-founding").hidden = !toFile;
  at("act").hidden = false;
}

// The uncompressed point of the key that was made; Refused for every other kind of key.
function pointOf(response) {
  const key = new Uint8Array(response.getPublicKey() ?? []);
  if (response.getPublicKeyAlgorithm() !== ES256 || key.length !== P256.length + 65
    || !P256.every((byte, place) => key[place] === byte)) {
    throw new Refused("this authenticator makes another kind of key than signers take. Use another one.");
  }
  return key.subarray(P256.length);
}

async function make(found) {
  at("problem").hidden = true;
  at("make").disabled = true;
  at("status").textContent = "Waiting for your authenticator…";
  try {
    const { response } = await navigator.credentials.create({
      publicKey: {
        challenge: await registrationOf(found),
        rp: { id: pinned("rp-id"), name: `Countersign approver, ${found.deployment}` },
        user: { id: fromHex(found.officer.replaceAll("-", "")), name: found.name, displayName: found.name },
        pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
        // The signing page names no passkey, so that the console cannot choose one: the key must find itself.
        authenticatorSelection: { userVerification: "required", residentKey: "required", requireResidentKey: true },
        attestation: "direct",
        excludeCredentials: found.known.map((id) => ({ type: "public-key", id })),
        timeout: ASK_WITHIN_MS,
      },
    });
    const flags = new Uint8Array(response.getAuthenticatorData())[32];
    if (!(flags & VERIFIED)) throw new Refused("the authenticator asked for no PIN, finger or face. Set one, and use it.");
    await made(found, response);
  } catch (error) {
    at("status").textContent = "";
    at("problem").textContent = said(error);
    at("problem").hidden = false;
    at("make").disabled = false;
  }
}

async function made({ deployment, name, nonce, officer, registration, toFile }, response) {
  const fingerprint = await fingerprintOf(pointOf(response));
  const answer = {
    client_data: base64url(new Uint8Array(response.clientDataJSON)),
    attestation_object: base64url(new Uint8Array(response.attestationObject)),
  };
  at("fingerprint").replaceChildren(...grouped(fingerprint, 4));
  if (toFile) {
    saving(at("hand-over"), "passkey/1", { deployment, name, nonce, officer, ...answer }, name);
    at("hand-over").textContent = "I have written it down: save the passkey’s file";
  } else {
    const fragment = base64url(new TextEncoder().encode(JSON.stringify(answer)));
    at("hand-over").href = `${pinned("console")}/authenticators/signing/${registration}/#${fragment}`;
  }
  at("asking").hidden = true;
  at("status").textContent = "";
  at("made").hidden = false;
  at("made-title").focus();
}

function said(error) {
  if (error instanceof Refused) return `Nothing was registered: ${error.message}`;
  if (error instanceof DOMException && error.name === "InvalidStateError") {
    return "Nothing was made: this authenticator has a signing passkey of yours already. Use another one.";
  }
  if (error instanceof DOMException && error.name === "NotAllowedError") {
    return "Nothing was made: the authenticator was not used, or took too long. You can try again.";
  }
  return `Nothing was made: the browser could not make a passkey (${error.name}). Try another authenticator.`;
}

function begin() {
  let found;
  try {
    found = asked(location.hash);
  } catch (error) {
    at("refusal-sentence").textContent = error instanceof Unreadable ? error.message
      : error instanceof NotCanonical ? `The invitation is not in its one proper encoding (${error.message}).`
      : "The invitation could not be read.";
    at("refusal").hidden = false;
    at("main").focus();
    return;
  }
  show(found);
  at("make").addEventListener("click", () => void make(found));
}

addEventListener("hashchange", () => location.reload());
begin();
