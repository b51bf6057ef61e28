// What the console does beyond plain pages: it moves the focus to a refusal, and takes answers from the approver.

// A screen reader and a keyboard both start where the news is.
document.getElementById("refusal")?.focus();

// The approver page comes back with the answer, or a new passkey, in the fragment, which no server has seen. It goes
// into the form of this page; the officer sends it, and the server checks every byte of it.
const ANSWER = "verb reason credential_id authenticator_data client_data signature confirmation";

function answerIn(fragment, names) {
  try {
    const text = atob(fragment.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const answer = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (part) => part.charCodeAt(0))));
    return names.every((name) => typeof answer[name] === "string") ? answer : null;
  } catch {
    return null;
  }
}

const form = document.getElementById("answer");
const carries = (form?.dataset.carries ?? ANSWER).split(" ");
const answer = form && location.hash.length > 64 ? answerIn(location.hash, carries) : null;
if (answer !== null) {
  for (const name of carries) form.elements[name].value = answer[name];
  const said = { approve: "approval", reject: "rejection", release: "release", ask: "request" }[answer.verb];
  if (said) document.getElementById("answer-verb").textContent = said;
  form.hidden = document.getElementById("answer-arrived").hidden = false;
  document.getElementById("answer-asked").hidden = true;
  history.replaceState(null, "", location.pathname);
  const send = document.getElementById("answer-send");
  if (!send.classList.contains("no")) send.classList.add("yes"); // before there is an answer, it is not what to do next
  send.focus();
}
