// The signing page: decode the request in the fragment, show what it means, ask the passkey, go back.

import { NotCanonical, decodeObject, encodeTexts } from "./canonical.js";
import { Unreadable, checkTime, read } from "./acts.js";
import { encodeQR } from "./qr.js";
import { asLine, grouped } from "./lines.js";
import { leftOut, named, rejectedBefore } from "./host.js";
import { FILE, NONCE, UUID, linkIn, ours, pinned, saving } from "./link.js";
import { base64url, challengeOf, digestOf, fingerprintOf, fromBase64url, fromHex, hex } from "./statement.js";

const MEMBERS = ["asks", "confirm", "deployment", "kind", "nonce", "payload", "request", "return"];
const ASK_WITHIN_MS = 120_000;
const QR_PIXELS = 5;

// What each agreeing verb is called on the page.
const SAID = new Map([["approve", "Approve"], ["release", "Release"], ["ask", "Ask"]]);

const SUSPENDS = new Set(["signer.freeze", "signer.release"]);

const at = (id) => document.getElementById(id);

// What the console asks to have signed; Unreadable where the link is not one of ours.
async function asked(fragment) {
  const { asks, confirm, deployment, kind, nonce, payload: encoded, request, return: origin } = linkIn(fragment, MEMBERS);
  if (!NONCE.test(nonce) || !UUID.test(request)) throw new Unreadable("The request has no proper name.");
  ours({ deployment, origin }, true);
  const payload = fromBase64url(encoded);
  if (payload === null) throw new Unreadable("The payload is damaged.");
  const act = read(decodeObject(payload), { kind, deployment });
  // Only the first registry is ordered while there is no console that could take the answer.
  if (!act.isFounding) ours({ deployment, origin });
  checkTime(act, Date.now());
  if (asks === "yes") {
    if (!act.asks) throw new Unreadable(`Nobody signs that they ask for a ${act.noun}.`);
    Object.assign(act, { verb: "ask", answers: ["ask"] });
  }
  act.lines = await named(act.lines);
  for (const line of act.lines) if (line.form === "key") line.value = await fingerprintOf(fromHex(line.value));
  const digest = await digestOf(payload);
  return {
    act, kind, deployment, nonce, request, encoded,
    confirm: confirm === "yes" && asks !== "yes", digest, toFile: origin === FILE,
    missing: await leftOut(act),
    before: act.isFounding ? "" : await rejectedBefore({ nonce, digest: hex(digest) }),
  };
}

function show(found) {
  const { act, digest } = found;
  document.title = `${act.headline} · Countersign approver`;
  const noun = `${/^[aeiou]/.test(act.noun) ? "an" : "a"} ${act.noun}`;
  at("kicker").textContent = act.verb === "ask" ? `You ask, as its maker, for ${noun}` : `You are asked about ${noun}`;
  at("headline").textContent = act.headline;
  at("lines").replaceChildren(...act.lines.flatMap(asLine));
  at("details").replaceChildren(...act.details.flatMap(asLine));
  at("digest").replaceChildren(...grouped(hex(digest), 8));
  at("confirmation-field").hidden = !found.confirm;
  if (act.verb === "ask") at("qr-field").hidden = true; // what is asked for is confirmed by nobody yet
  else drawQr(at("qr"), decoderText(found));
  at("verb-approve").value = act.verb;
  at("verb-approve").labels[0].firstChild.data = act.verb === "ask" ? "I ask for " : `${SAID.get(act.verb)} `;
  at("ask-hint").hidden = act.verb !== "ask";
  at("reject-choice").hidden = !act.answers.includes("reject");
  at("back").href = `${pinned("console")}/approvals/${found.request}/`;
  at("back").hidden = found.toFile;
  at("rejected").textContent = found.before;
  at("rejected").hidden = found.before === "";
  at("left-out").textContent = found.missing;
  at("left-out").hidden = found.missing === "";
  if (act.expires !== null && Date.parse(act.expires) <= Date.now()) {
    at("late").textContent =
      "By this computer’s clock the request is void already. An approval would be refused; ask for a new request.";
    at("late").hidden = false;
    at("verb-approve").disabled = true;
  }
  at("act").hidden = false;
}

function refuse(sentence) {
  at("act").hidden = true;
  at("refusal-sentence").textContent = sentence;
  at("refusal").hidden = false;
  at("main").focus();
}

// What the offline decoder reads: all that the statement binds, and the payload's own bytes.
function decoderText({ deployment, kind, nonce, encoded }) {
  const members = [["deployment", deployment], ["kind", kind], ["nonce", nonce], ["payload", encoded]];
  return new TextDecoder().decode(encodeTexts(new Map(members)));
}

// Black on white whatever the page's colours are: scanners want it so.
function drawQr(canvas, text) {
  let modules;
  try {
    modules = encodeQR(text, "raw", { ecc: "low", encoding: "byte", border: 4 });
  } catch {
    at("qr-field").hidden = true; // longer than the largest code: no payment is
    return;
  }
  canvas.width = canvas.height = modules.length * QR_PIXELS;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#000";
  modules.forEach((row, y) => row.forEach((dark, x) => {
    if (dark) pen.fillRect(x * QR_PIXELS, y * QR_PIXELS, QR_PIXELS, QR_PIXELS);
  }));
}

function chosen() {
  return new FormData(at("answer")).get("verb");
}

function follow() {
  const verb = chosen();
  at("reason-field").hidden = verb !== "reject";
  at("reason").required = verb === "reject";
  const confirms = verb !== null && verb !== "reject" && !at("confirmation-field").hidden;
  at("confirmation").required = confirms;
  if (confirms) at("qr-field").open = true;
  at("sign").textContent = verb === null ? "Choose an answer first" : `${SAID.get(verb) ?? "Reject"} with passkey`;
  at("sign").dataset.verb = verb ?? "";
}

async function sign(found) {
  const verb = chosen();
  const reason = verb === "reject" ? at("reason").value.trim() : "";
  at("problem").hidden = true;
  if (verb === "reject" && reason === "") {
    problem("Nothing was signed: write why you reject it.");
    at("reason").focus();
    return;
  }
  const confirmation = verb === "reject" ? "" : at("confirmation").value.trim();
  if (found.confirm && verb !== "reject" && !/^[A-Za-z0-9_-]{86}$/.test(confirmation)) {
    problem("Nothing was signed: scan or paste the confirmation that your offline decoder shows, 86 characters.");
    at("confirmation").focus();
    return;
  }
  at("sign").disabled = true;
  at("status").textContent = "Waiting for your passkey…";
  try {
    const credential = await navigator.credentials.get({
      publicKey: {
        challenge: await challengeOf({ ...found, verb }),
        rpId: pinned("rp-id"),
        userVerification: "required",
        allowCredentials: [],
        timeout: ASK_WITHIN_MS,
      },
    });
    const { authenticatorData, clientDataJSON, signature } = credential.response;
    const answer = {
      verb,
      reason,
      credential_id: base64url(new Uint8Array(credential.rawId)),
      authenticator_data: base64url(new Uint8Array(authenticatorData)),
      client_data: base64url(new Uint8Array(clientDataJSON)),
      signature: base64url(new Uint8Array(signature)),
      confirmation,
    };
    await writeDown({ ...found, ...answer });
    if (found.toFile) {
      keep(found, answer);
      return;
    }
    at("status").textContent = "Signed. Going back to the console…";
    const fragment = base64url(new TextEncoder().encode(JSON.stringify(answer)));
    location.assign(`${pinned("console")}/approvals/${found.request}/#${fragment}`);
  } catch (error) {
    at("status").textContent = "";
    problem(
      error instanceof NotWrittenDown ? error.message : error instanceof DOMException && error.name === "NotAllowedError"
        ? "Nothing was signed: the passkey was not used, or took too long. You can try again."
        : `Nothing was signed: the browser could not use a passkey (${error.name}). Try the key you enrolled for this page.`,
    );
    at("sign").disabled = false;
  }
}

// The answer as a file: what whoever collects them needs, with the nonce that all of them share.
function keep({ act, deployment, kind, nonce }, { verb, authenticator_data, client_data, signature }) {
  const members = { deployment, kind, nonce, verb, authenticator_data, client_data, signature };
  saving(at("save"), "approval/1", members, act.noun);
  at("status").textContent = "";
  at("answer").hidden = true;
  at("signed").hidden = false;
  at("signed-title").focus();
}

// This page's own log has every signature before anybody else: one that it does not take is handed to nobody.
class NotWrittenDown extends Error {}

async function writeDown(given) {
  const members = ["authenticator_data", "client_data", "credential_id", "deployment", "kind", "nonce", "request",
    "signature", "verb"].map((name) => [name, given[name]]);
  // Whose suspension it is: the log tells it where a reopening leaves somebody out.
  if (SUSPENDS.has(given.kind)) members.push(["payload", given.encoded]);
  const body = encodeTexts(new Map([...members, ["digest", hex(given.digest)]]));
  let status = "no answer";
  try {
    const reply = await fetch("/log", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    if (reply.ok) return;
    status = reply.status;
  } catch { /* said below, whatever it was */ }
  throw new NotWrittenDown(
    `Nothing was handed to the console: this page’s own log did not take your signature (${status}). Try again; if this stays, tell the SRE on duty.`,
  );
}

function problem(sentence) {
  at("problem").textContent = sentence;
  at("problem").hidden = false;
}

async function begin() {
  let found;
  try {
    found = await asked(location.hash);
  } catch (error) {
    if (error instanceof Unreadable) refuse(error.message);
    else if (error instanceof NotCanonical) refuse(`The request is not in its one proper encoding (${error.message}).`);
    else refuse("The request could not be read.");
    return;
  }
  show(found);
  at("answer").addEventListener("change", follow);
  at("answer").addEventListener("submit", (event) => {
    event.preventDefault();
    void sign(found);
  });
  follow();
}

// Another request in the same tab starts afresh: nothing of the first one stays on the page.
addEventListener("hashchange", () => location.reload());
await begin();
