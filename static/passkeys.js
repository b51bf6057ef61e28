// Asks the browser for a passkey: to answer a question about one act, or to make a new one. What comes back goes into
// the form, the form goes to the server, and the server checks every byte of it.

const form = document.getElementById("ceremony");
const button = document.getElementById("touch");
const said = document.getElementById("said");
const opened = Date.now();

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (part) => part.charCodeAt(0));
}

function base64url(buffer) {
  let plain = "";
  for (const byte of new Uint8Array(buffer)) plain += String.fromCharCode(byte);
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const known = () =>
  [...form.querySelectorAll("data.passkey")].map((item) => ({ type: "public-key", id: bytes(item.value) }));

async function answer() {
  const { id, response } = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(form.dataset.challenge),
      rpId: form.dataset.rp,
      allowCredentials: known(),
      userVerification: "required",
      timeout: Number(form.dataset.seconds) * 1000,
    },
  });
  form.elements.stepup_credential_id.value = id;
  form.elements.stepup_authenticator_data.value = base64url(response.authenticatorData);
  form.elements.stepup_client_data.value = base64url(response.clientDataJSON);
  form.elements.stepup_signature.value = base64url(response.signature);
}

async function make() {
  const { response } = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(form.dataset.challenge),
      rp: { id: form.dataset.rp, name: form.dataset.issuer },
      user: { id: bytes(form.dataset.user), name: form.dataset.name, displayName: form.dataset.display },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: { userVerification: "required", residentKey: "discouraged" },
      attestation: "direct",
      excludeCredentials: known(),
      timeout: Number(form.dataset.seconds) * 1000,
    },
  });
  form.elements.client_data.value = base64url(response.clientDataJSON);
  form.elements.attestation_object.value = base64url(response.attestationObject);
}

async function touch() {
  const makes = form.dataset.does === "create";
  // A question that is about to expire is asked anew; the form keeps what was typed.
  if (!makes && Date.now() - opened > (Number(form.dataset.seconds) - 5) * 1000) {
    form.elements.stepup_challenge.value = "";
    form.submit();
    return;
  }
  if (!form.reportValidity()) return;
  button.disabled = true;
  said.textContent = "Your browser is asking your authenticator …";
  try {
    await (makes ? make() : answer());
    form.submit();
  } catch (error) {
    button.disabled = false;
    said.textContent = `Nothing was sent: your browser says “${error.name}”. Try again.`;
  }
}

if (button) {
  button.hidden = false;
  document.getElementById("no-script").hidden = true;
  button.addEventListener("click", touch);
  if (form.dataset.does === "get" && !document.getElementById("refusal")) button.focus();
}
