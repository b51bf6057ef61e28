// Keeps parts of a page fresh. A part says in data-live what it shows ("withdrawals", or "withdrawals/<id>" for one
// row) and in data-every how often it is asked for anyway, in seconds. The console's socket only says what has
// changed; the part then asks for itself, as a plain request. While the socket grants all that a part shows, asking
// anyway is rare; without a socket it is as often as the part says. A part with data-ages shows what changes by its
// age, or by somebody's silence: nothing announces that, so it asks as often as it says in any case.
const RARELY = 6;
const RARELY_AT_LEAST_MS = 60_000;
const BETWEEN_MS = 1000;
const SPREAD_MS = 300;
const RETRY_MS = 1000;
const RETRY_AT_MOST_MS = 60_000;
const OVER = [4401, 4403];

const began = Date.now();
const asked = new Map(); // a part's id to when it last asked, or is going to
let granted = new Set();
let socket = null;
let watched = "";
let failures = 0;

const parts = () => [...document.querySelectorAll("[data-every]")];
const keysOf = (part) => (part.dataset.live ?? "").split(" ").filter(Boolean);

function wait(part) {
  const every = Number(part.dataset.every) * 1000;
  const keys = keysOf(part);
  const isTold = !("ages" in part.dataset) && keys.length > 0 && keys.every((key) => granted.has(key));
  return isTold ? Math.max(RARELY_AT_LEAST_MS, every * RARELY) : every;
}

function ask(part, after = 0) {
  const { id } = part;
  asked.set(id, Date.now() + after);
  // By its id and later: the part may have been replaced by then.
  setTimeout(() => document.getElementById(id)?.dispatchEvent(new CustomEvent("refetch")), after);
}

function hear(stale) {
  for (const part of parts().filter((each) => keysOf(each).some((key) => stale.has(key)))) {
    const rest = (asked.get(part.id) ?? 0) + BETWEEN_MS - Date.now();
    // One that is going to ask will see this change too.
    if (rest <= BETWEEN_MS) ask(part, Math.max(rest, Math.random() * SPREAD_MS));
  }
}

function grant(keys) {
  granted = new Set(keys);
  // Where somebody wonders why a page is still: what it is told of, if of anything.
  if (keys.length > 0) document.documentElement.dataset.told = keys.join(" ");
  else delete document.documentElement.dataset.told;
}

function watch() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const keys = [...new Set(parts().flatMap(keysOf))].sort();
  if (keys.join(" ") === watched) return;
  watched = keys.join(" ");
  socket.send(JSON.stringify({ watch: keys }));
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.onmessage = ({ data }) => {
    const said = JSON.parse(data);
    failures = 0;
    if (said.watching) grant(said.watching);
    if (said.stale) hear(new Set(said.stale));
  };
  socket.onopen = () => {
    watched = "";
    watch();
    // What changed while nobody listened.
    if (failures > 0) hear(new Set(parts().flatMap(keysOf)));
  };
  socket.onclose = ({ code }) => {
    grant([]);
    // The answer to a plain request shows what is over, and how to begin anew.
    if (OVER.includes(code)) for (const part of parts()) ask(part);
    failures += 1;
    const pause = Math.min(RETRY_AT_MOST_MS, RETRY_MS * 2 ** Math.min(failures, 6));
    setTimeout(connect, pause * (0.5 + Math.random() / 2));
  };
}

function tick() {
  watch();
  for (const part of parts()) if (Date.now() - (asked.get(part.id) ?? began) >= wait(part)) ask(part);
}

if (parts().length > 0) {
  connect();
  setInterval(tick, 1000);
}
