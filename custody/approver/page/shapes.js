// What a member of a payload can be, and how each is read: an amount, a time, an id, a key. Whatever reads oddly is refused.

// Decimals of the assets, as in kernel/money.py; a test holds the two together.
export const DECIMALS = new Map([["BTC", 8], ["ETH", 18], ["USDT", 6]]);

// EVM chains by name, as in kernel/networks.py; the vectors hold the two together.
const CHAINS = new Map([[1, "Ethereum"], [11155111, "Sepolia (a test network)"]]);

// A network for people: an EVM chain with its name and its number, every other as it is.
export function networkName(network) {
  const found = /^eip155:([1-9][0-9]{0,15})$/.exec(network);
  return found === null ? network : `${CHAINS.get(Number(found[1])) ?? "an EVM chain"}, chain ${found[1]}`;
}

export class Unreadable extends Error {
  name = "Unreadable";
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^[1-9]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const UNITS = /^(0|[1-9][0-9]{0,29})$/;
// Characters that change how their neighbours are read: controls and line ends, those that do not show or look like a
// space, those that turn direction, and marks that are piled upon one letter until they cover the lines around it.
const DECEPTIVE = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|[^\P{Zs} ]|(?<=\p{M}{3})\p{M}/gu;

// Units as the plain decimal that people read; no floating point touches it.
export function decimal(units, asset) {
  const decimals = DECIMALS.get(asset);
  if (decimals === undefined) throw new Unreadable(`The asset ${shown(asset)} is not known to this page.`);
  if (!UNITS.test(units)) throw new Unreadable("An amount is not a plain number of units.");
  const digits = BigInt(units).toString().padStart(decimals + 1, "0");
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return fraction ? `${whole}.${fraction}` : whole;
}

// Millionths as a percentage, without zeros that say nothing.
export function percent(ppm) {
  const digits = String(ppm).padStart(5, "0");
  const fraction = digits.slice(-4).replace(/0+$/, "");
  return `${digits.slice(0, -4)}${fraction && `.${fraction}`} %`;
}

// The text with such characters spelled out, so that what is read is what is there.
export function visible(value) {
  return value.replace(DECEPTIVE, (found) => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

export const text = (value, name) => {
  if (typeof value !== "string" || value === "") throw new Unreadable(`The member ${name} is not text.`);
  return visible(value);
};
// Several lines, as people write reasons.
export const prose = (value, name) => {
  if (typeof value !== "string" || value === "") throw new Unreadable(`The member ${name} is not text.`);
  return value.split("\n").map(visible).join("\n");
};
export const id = (value, name) => {
  if (typeof value !== "string" || !UUID.test(value)) throw new Unreadable(`The member ${name} is not an id.`);
  return value;
};
export const ids = (value, name) => {
  if (!Array.isArray(value)) throw new Unreadable(`The member ${name} is not a list.`);
  return value.map((item) => id(item, name));
};
export const word = (value, name) => {
  if (typeof value !== "string" || !/^[!-~]{1,120}$/.test(value)) {
    throw new Unreadable(`The member ${name} is not a plain word.`);
  }
  return value;
};
export const token = (value, name) => {
  if (typeof value !== "string" || !/^[A-Za-z0-9_-]{1,1400}$/.test(value)) {
    throw new Unreadable(`The member ${name} is not base64url or hex.`);
  }
  return value;
};
export const time = (value, name) => {
  const moment = typeof value === "string" && TIME.test(value) ? new Date(value) : null;
  if (moment === null || Number.isNaN(moment.getTime()) || moment.toISOString() !== value.replace("Z", ".000Z")) {
    throw new Unreadable(`The member ${name} is not a time in UTC.`);
  }
  return value;
};
export const number = (value, name) => {
  if (!Number.isSafeInteger(value) || value < 0) throw new Unreadable(`The member ${name} is not a number.`);
  return value;
};
export const positive = (value, name) => {
  if (number(value, name) === 0) throw new Unreadable(`The member ${name} is not a number above zero.`);
  return value;
};
// A fee’s rate: millionths of what is received, or the market’s own.
export const rate = (value, name) => {
  if (value !== "market" && (typeof value !== "string" || !/^(0|[1-9][0-9]{0,5})$/.test(value))) {
    throw new Unreadable(`The member ${name} is not a fee.`);
  }
  return value;
};
export const units = (value, name) => {
  if (typeof value !== "string" || !UNITS.test(value)) throw new Unreadable(`The member ${name} is not an amount.`);
  return value;
};

export const names = (value, name) => {
  if (!Array.isArray(value)) throw new Unreadable(`The member ${name} is not a list.`);
  return value.map((item) => word(item, name));
};
export const point = (value, name) => {
  if (typeof value !== "string" || !/^04[0-9a-f]{128}$/.test(value)) {
    throw new Unreadable(`The member ${name} is not a passkey’s public key.`);
  }
  return value;
};
// Passkeys of a registry’s officers: each a fingerprint and a name.
export const keys = (value, name) => {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string" && /^[0-9a-f]{32} .+$/su.test(item))) {
    throw new Unreadable(`The member ${name} is not a list of passkeys.`);
  }
  return value.map((item) => ({ fingerprint: item.slice(0, 32), name: visible(item.slice(33)) }));
};

export function shown(value) {
  return typeof value === "string" ? `“${value.slice(0, 60).replace(/[^ -~]/g, "?")}”` : "(none)";
}
