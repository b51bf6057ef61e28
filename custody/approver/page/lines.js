// How a line is drawn: addresses and fingerprints in groups, times with how far away they are.

// A term and its value as the page's list takes them.
export function asLine({ label, value, form, note }) {
  const term = document.createElement("dt");
  const given = document.createElement("dd");
  term.textContent = label;
  if (form === "address") {
    given.className = "groups address";
    given.append(...grouped(value, 4));
  } else if (form === "key" || form === "groups") {
    given.className = "groups";
    given.append(...grouped(value, 4));
  } else if (form === "time") {
    given.textContent = `${value.replace("T", " ").replace("Z", " UTC")} (${fromNow(value)})`;
  } else {
    given.textContent = value;
    if (form === "mono") given.className = "mono";
  }
  if (note) {
    const small = document.createElement("small");
    small.textContent = note;
    given.append(small);
  }
  return [term, given];
}

// Groups are spans: the gaps between them are drawn, so that a copy holds none.
export function grouped(text, length) {
  return (text.match(new RegExp(`.{1,${length}}`, "gu")) ?? []).map((part) => {
    const span = document.createElement("span");
    span.textContent = part;
    return span;
  });
}

function fromNow(moment) {
  const minutes = Math.round((Date.parse(moment) - Date.now()) / 60_000);
  const [amount, unit] = Math.abs(minutes) < 120 ? [minutes, "minute"] : [Math.round(minutes / 60), "hour"];
  return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(amount, unit);
}
