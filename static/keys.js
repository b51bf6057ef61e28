// Lists worked by keys: j and k walk through the rows, Enter opens one, ? tells of them. Single keys get in the way
// of some who speak to their computer or type with one finger, so the same dialog switches them off.

const OFF = "countersign.keys-off";
const dialog = document.getElementById("keys");
const toggle = document.getElementById("keys-on");
toggle.checked = localStorage.getItem(OFF) === null;
toggle.addEventListener("change", () => {
  if (toggle.checked) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "yes");
});

for (const opener of document.querySelectorAll("[data-opens=keys]")) {
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
}

function walk(step) {
  const rows = [...document.querySelectorAll("main a.row")];
  const at = rows.indexOf(document.activeElement);
  const next = at === -1 ? (step > 0 ? 0 : rows.length - 1) : at + step;
  rows[next]?.focus();
}

addEventListener("keydown", (event) => {
  if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "?") dialog.showModal();
  else return;
  event.preventDefault();
});
