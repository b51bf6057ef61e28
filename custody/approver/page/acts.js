// What can be signed here, kind by kind: exactly which members a payload has, and how people read each one.
// A payload with one member missing, one too many, or one that reads oddly is refused as a whole.

import {
  Unreadable, decimal, id, ids, keys, names, networkName, number, percent, point, positive, prose, rate, shown, text, time,
  token, units, visible, word,
} from "./shapes.js";

export { DECIMALS, Unreadable, decimal } from "./shapes.js";

// Signers take nothing that ends more than a week from now (kernel/pinned.py), and cannot know when it was signed: what
// ends later would be kept until they do take it, long after everybody has forgotten that it was approved.
const GOOD_FOR_HOURS = 7 * 24;
// What lets go again, or brings in other officers, is drafted to be good for a day (custody/domain/orders.py). And signers
// let go only by a release that ends a day or more behind the freeze (custody/signer/holds.py): one that was signed before
// a freeze can never be that, because this page signs none that is good for longer.
const LETS_GO_FOR_HOURS = 24;
const COMMON = { v: number, kind: word, deployment: word, maker: id };
const PAYMENT = {
  ...COMMON, network: word, asset: word, amount: units, destination: word, destination_label: text,
  fee_cap: units, source: word, policy: positive, expires: time,
};

const paymentLines = (act) => [
  line("To", act.destination, "address"),
  line("Known as", act.destination_label, "text", act.customer ? "The customer’s own name for this address." : ""),
  line("Out of", `${act.source} wallet on ${networkName(act.network)}`),
  line("Network fee", `at most ${decimal(act.fee_cap, act.asset)} ${act.asset}`),
  line("Void after", act.expires, "time"),
];

// A passkey: first what people compare with the officer who made it, then what programs compare.
const PASSKEY = { credential_id: token, public_key: point, label: text, aaguid: id, attestation: word };
const passkeyLines = (act, note = "") => [
  line("Fingerprint", act.public_key, "key", note),
  line("Label", act.label), line("Passkey", act.credential_id, "mono"), line("Key", act.public_key, "mono"),
  line("Model", act.aaguid, "mono"), line("Attestation", act.attestation),
];

// What an account pays by one of its rates.
const fee = (value) => (value === "market" ? "the market’s own" : `${percent(value)} of what they receive`);

const STAFF = { ...COMMON, person: id, person_name: text, reason: prose };
const role = (value) => value.replaceAll("_", " ");
// One change to the staff: what it adds to the members, its large line, and the lines of its own.
const staff = (noun, members, headline, lines = () => []) => ({
  members: { ...STAFF, ...members },
  noun,
  headline,
  lines: (act) => [
    line("Person", act.person_name), line("Person’s id", act.person, "person"), ...lines(act), line("Because", act.reason),
  ],
  details: () => [],
});

// A policy's rules and windows, one line each, in the order in which they are tried.
const policyLines = (act) => {
  let document;
  try { document = JSON.parse(act.document); } catch { throw new Unreadable("The policy in the payload cannot be read."); }
  if (document.version !== act.version || !Array.isArray(document.rules)) throw new Unreadable("The policy in the payload is another one.");
  const spoken = (value) => visible(JSON.stringify(value));
  const period = (seconds, what) => (seconds === undefined ? "" : `, to be ${what} within ${spoken(seconds)} s`);
  const rule = (one) => `${one.when.map((each) => each.map(spoken).join(" ")).join(" and ") || "always"}: ${
    one.unattended === true ? "nobody, the signers’ lane decides" : one.deny === undefined ? `${spoken(one.teams)}, ${spoken(one.rejections)} can reject${period(one.approve_s, "approved")}${period(one.execute_s, "executed")}` : `refused, ${visible(String(one.deny))}`}`;
  return [
    ...document.rules.map((one, place) => line(`${place + 1}. ${visible(String(one.name))}`, rule(one))),
    ...(document.windows ?? []).map((one) => line(`Window ${visible(String(one.name))}`, spoken(one))),
  ];
};

const ORDER = { ...COMMON, reason: prose, expires: time };
const OFFICER = /^officer:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
// Signers hold an officer like a wallet. Their name is not in the payload: the registry on this page’s host has it.
const who = (wallet) => (OFFICER.test(wallet) ? [line("Officer’s id", OFFICER.exec(wallet)[1], "officer", "Compare it with the staff’s page.")] : []);
const whose = (wallet) => (wallet === "*" ? "every signer" : `the signers of the ${wallet} wallet`);
// One order to the signers. A stop is given by whoever drafted it, alone, and so cannot be rejected either.
const order = (members, { verb, answers, headline, lines, goodForHours }) => ({
  members: { ...ORDER, ...members },
  noun: "order to the signers",
  verb,
  answers,
  goodForHours,
  headline,
  lines: (act) => [...lines(act), line("Because", act.reason), line("Void after", act.expires, "time")],
  details: () => [],
});
// A registry, with the passkeys that will count: signers hold the file to each of them.
const REGISTRY = { version: number, digest: token, keys };
const keyLines = (act) => act.keys.map(({ name, fingerprint }, place) => line(
  `Passkey of ${name}`, fingerprint, "groups", place ? "" : "Its fingerprint. Each officer’s own paper must say the same.",
));
const stop = (members, rest) => order(members, { verb: "approve", answers: ["approve"], ...rest });
const letGo = (members, rest) => ({
  asks: true, ...order(members, { verb: "release", answers: ["release", "reject"], goodForHours: LETS_GO_FOR_HOURS, ...rest }),
});

// What allows an erasure in law (kyc/domain/erasures.py).
const BASES = new Map([
  ["person_asked", "the person asked for it"], ["kept_long_enough", "the time for which files are kept is over"],
  ["authority_ordered", "a court or an authority ordered it, also before files may go"],
]);

// Each kind: its members, what it is called, its one large line, and the lines below. `verb` is the one that agrees,
// approve where none is named, `answers` are those that can be given, and `version` is 1 where none is named. Where
// `asks` says so, its maker signs first that they ask for it.
export const ACTS = new Map([
  ["custody.withdrawal", {
    members: { ...PAYMENT, withdrawal: id, customer: id },
    noun: "withdrawal",
    headline: (act) => `Pay ${decimal(act.amount, act.asset)} ${act.asset}`,
    lines: paymentLines,
    details: (act) => [
      line("Withdrawal", act.withdrawal, "mono"), line("Customer", act.customer, "mono"),
      line("Policy version", String(act.policy)),
    ],
  }],
  ["custody.refill", {
    asks: true,
    members: { ...PAYMENT, refill: id },
    noun: "refill of the hot wallet",
    headline: (act) => `Move ${decimal(act.amount, act.asset)} ${act.asset} from cold to hot`,
    lines: paymentLines,
    details: (act) => [line("Refill", act.refill, "mono"), line("Policy version", String(act.policy))],
  }],
  ["custody.sweep", {
    asks: true,
    members: { ...PAYMENT, sweep: id },
    noun: "sweep of the hot wallet",
    headline: (act) => `Move ${decimal(act.amount, act.asset)} ${act.asset} from hot to cold`,
    lines: paymentLines,
    details: (act) => [line("Sweep", act.sweep, "mono"), line("Policy version", String(act.policy))],
  }],
  ["custody.adjustment", {
    version: 2,
    members: {
      ...COMMON, asset: word, amount: units, customer: id, reason: prose, reference: text, adjustment: id, expires: time,
    },
    noun: "adjustment",
    headline: (act) => `Credit ${decimal(act.amount, act.asset)} ${act.asset}`,
    lines: (act) => [
      line("To customer", act.customer, "mono"), line("Because", act.reason), line("Reference", act.reference),
      line("Void after", act.expires, "time"),
    ],
    details: (act) => [line("Adjustment", act.adjustment, "mono")],
  }],
  ["kyc.tier", {
    members: { ...COMMON, case: id, customer: id, tier: number, tier_before: number, reason: prose, expires: time },
    noun: "tier decision",
    headline: (act) => `${act.tier > act.tier_before ? "Raise" : "Lower"} a customer from tier ${act.tier_before} to tier ${act.tier}`,
    lines: (act) => [
      line("Customer", act.customer, "mono"), line("Because", act.reason), line("Void after", act.expires, "time"),
    ],
    details: (act) => [line("Case", act.case, "mono")],
  }],
  ["kyc.erasure", {
    members: { ...COMMON, erasure: id, customer: id, basis: word, kept_until: word, reason: prose, expires: time },
    noun: "erasure of a customer",
    headline: () => "Erase a customer, for good",
    lines: (act) => [
      line("Customer", act.customer, "mono"), line("On what basis", BASES.get(act.basis) ?? role(act.basis)),
      line("Files must be kept until", act.kept_until === "none" ? "nothing was ever booked or approved" : act.kept_until),
      line("Because", act.reason),
      line("Destroyed", "name and e-mail, papers, notes, what the log says of the person; the account closes", "text", "Nobody can undo this."),
      line("Kept", "bookings, withdrawals with their destinations, approvals, addresses on the Internet in the log, the provider’s own files"),
      line("Void after", act.expires, "time"),
    ],
    details: (act) => [line("Erasure", act.erasure, "mono")],
  }],
  ["freezes.release", {
    members: { ...COMMON, freeze: id, scope: word, pulled_at: time, frozen_because: prose, reason: prose },
    noun: "release of a freeze",
    headline: (act) => `Release the freeze of ${act.scope}`,
    lines: (act) => [
      line("Frozen since", act.pulled_at, "time"), line("Frozen because", act.frozen_because),
      line("Safe again because", act.reason),
      line("Agreed to by", "two who did not pull the freeze: whoever did may ask, and does not count"),
    ],
    details: (act) => [line("Freeze", act.freeze, "mono")],
  }],
  ["engine.market_release", {
    members: { ...COMMON, market: word, from: word, to: word, reason: prose },
    noun: "release of a market",
    headline: (act) => `Let ${act.market} trade again`,
    lines: (act) => [
      line("From", role(act.from)), line("To", role(act.to)), line("Safe again because", act.reason),
    ],
    details: () => [],
  }],
  ["engine.fee_level", {
    members: {
      ...COMMON, customer: id, level: word, level_before: word, maker_ppm: rate, taker_ppm: rate,
      maker_ppm_before: rate, taker_ppm_before: rate, reason: prose,
    },
    noun: "change of a customer’s fees",
    headline: (act) => `Let a customer pay the fees of ${act.level}`,
    lines: (act) => [
      line("Customer", act.customer, "mono"),
      line("Maker’s fee", `${fee(act.maker_ppm)}; now ${fee(act.maker_ppm_before)}`),
      line("Taker’s fee", `${fee(act.taker_ppm)}; now ${fee(act.taker_ppm_before)}`),
      line("Fee level now", act.level_before), line("Because", act.reason),
    ],
    details: () => [],
  }],
  ["engine.price_band", {
    members: {
      ...COMMON, market: word, band_ppm: number, band_ppm_before: number, reference_price: word, reason: prose,
    },
    noun: "price band of a market",
    headline: (act) => (act.band_ppm ? `Let ${act.market} trade up to ${percent(act.band_ppm)} away` : `Let ${act.market} trade without a price band`),
    lines: (act) => [
      line("From", act.reference_price === "last" ? "the last trade’s price" : `${act.reference_price}, until the next trade`),
      line("Price band now", act.band_ppm_before ? percent(act.band_ppm_before) : "none"),
      line("Because", act.reason),
    ],
    details: () => [],
  }],
  ["staff.join", staff(
    "change to the staff", { name: text, email: text, subject: text, roles: names },
    (act) => `Let ${act.name} join`,
    (act) => [
      line("E-mail", act.email, "mono"), line("At the edge", act.subject, "mono"),
      line("Roles", act.roles.map(role).join(", ") || "none"),
    ],
  )],
  ["staff.grant_role", staff(
    "change to the staff", { role: word, hours: number }, (act) => `Make ${act.person_name} ${role(act.role)}`,
    (act) => [line("For", act.hours === 0 ? "good" : `${act.hours} hours`)],
  )],
  ["staff.end_role", staff(
    "change to the staff", { role: word }, (act) => `End ${act.person_name}’s role of ${role(act.role)}`,
  )],
  ["staff.leave", staff("change to the staff", {}, (act) => `Let ${act.person_name} leave`)],
  ["staff.restore", staff("change to the staff", {}, (act) => `End the suspension of ${act.person_name}`)],
  ["staff.rebind", staff(
    "change to the staff", { subject: text }, (act) => `Bind ${act.person_name} to another account`,
    (act) => [line("At the edge", act.subject, "mono")],
  )],
  ["staff.add_passkey", { version: 2, ...staff(
    "change to the staff", PASSKEY, (act) => `Let ${act.person_name} sign with another passkey`,
    (act) => passkeyLines(act, "Ask them for the one that they wrote down when they made it on this page’s host."),
  ) }],
  ["staff.revoke_passkey", staff(
    "change to the staff", { credential_id: token }, (act) => `Revoke a passkey of ${act.person_name}`,
    (act) => [line("Passkey", act.credential_id, "mono")],
  )],
  ["approvals.policy", {
    members: { ...COMMON, version: number, document: text, backtest: token, reason: prose },
    noun: "change of the policy",
    headline: (act) => `Let policy ${act.version} say who must approve`,
    lines: (act) => [...policyLines(act), line("Because", act.reason)],
    details: (act) => [line("Back-test’s digest", act.backtest, "mono"), line("The whole document", act.document, "mono")],
  }],
  ["signer.freeze", stop({ wallet: word }, {
    headline: (act) => (OFFICER.test(act.wallet) ? "Suspend an officer at every signer" : `Freeze ${whose(act.wallet)}`),
    lines: (act) => [...who(act.wallet), line("Until", "others release them; you cannot do that alone")],
  })],
  ["signer.veto", stop({ digest: token }, {
    headline: () => "Veto a registry that was announced to the signers",
    lines: (act) => [line("Registry’s digest", act.digest, "mono")],
  })],
  ["signer.release", letGo({ wallet: word }, {
    headline: (act) => (OFFICER.test(act.wallet) ? "Let an officer count again at every signer" : `Let ${whose(act.wallet)} sign again`),
    lines: (act) => [
      ...who(act.wallet),
      ...(act.wallet === "*" ? [line("First", "freeze and suspend anew what a reopened signer may have forgotten")] : []),
      line("Agreed to by", "others than who froze them: signers do not count those, who may ask"),
    ],
  })],
  ["signer.reopen", { version: 2, ...letGo({ token: word, standing: token, suspended: ids }, {
    headline: (act) => `Let the signer ${act.token} begin a new memory`,
    lines: (act) => [
      line("What it found", act.standing, "mono", "Compare it with the signer’s own health line."),
      line("It hears nothing of", act.suspended.length ? `${act.suspended.length} suspended, who are named below` : "nobody: who was suspended may count again"),
      ...act.suspended.map((officer) => line("Suspended officer’s id", officer, "officer")),
      line("If lines of it are lost", "it comes back with everything frozen: first freeze anew, and suspend who is not named here, then let it go"),
    ],
  }) }],
  ["signer.registry", { version: 2, ...letGo(REGISTRY, {
    headline: (act) => `Let the signers take up registry ${act.version}`,
    lines: (act) => [
      ...keyLines(act),
      line("Registry’s digest", act.digest, "mono", "Compare it with “signer registry show” on a machine of your own."),
    ],
  }) }],
  ["signer.recovery", { version: 2, ...letGo(REGISTRY, {
    headline: (act) => `Recover: let the signers take up the officers of registry ${act.version}`,
    lines: (act) => [
      ...keyLines(act),
      line("Registry’s digest", act.digest, "mono", "Compare it with “signer registry show” on a machine of your own."),
      line("Signed by", "recovery officers only, each with the passkey from their safe"),
      line("Then", "its delay runs in every signer, and any one officer can veto"),
    ],
  }), asks: false }],
  ["factors.enrol_passkey", staff(
    "new authenticator", { ...PASSKEY, factor: id },
    (act) => `Let ${act.person_name} come in with another passkey`, (act) => passkeyLines(act),
  )],
  ["factors.enrol_sealed", staff(
    "key for a safe", { ...PASSKEY, factor: id },
    () => "Put another key for emergencies into a safe", (act) => passkeyLines(act),
  )],
  ["factors.enrol_code", staff(
    "new authenticator", { factor: id, label: text, fingerprint: token },
    (act) => `Let ${act.person_name} use another authenticator app`,
    (act) => [line("Label", act.label), line("Fingerprint", act.fingerprint, "mono")],
  )],
]);

// What the payload means, from its decoded members; Unreadable says what keeps it from being signed.
export function read(members, { kind, deployment }) {
  const named = members.get("kind");
  const act = typeof named === "string" ? ACTS.get(named) : undefined;
  if (act === undefined) throw new Unreadable(`This page does not know acts of the kind ${shown(named)}.`);
  const odd = [...new Set([...members.keys(), ...Object.keys(act.members)])].filter(
    (name) => !members.has(name) || !Object.hasOwn(act.members, name),
  );
  if (odd.length > 0) throw new Unreadable(`A ${act.noun} does not have exactly these members: ${odd.map(shown).join(", ")}.`);
  const found = {};
  for (const [name, check] of Object.entries(act.members)) found[name] = check(members.get(name), name);
  if (found.v !== (act.version ?? 1)) throw new Unreadable("The payload is of another version than this page reads.");
  if (found.kind !== kind) throw new Unreadable("The request is filed under another kind than its payload.");
  if (found.deployment !== deployment) throw new Unreadable("The payload belongs to another deployment than the request.");
  const isFounding = kind === "signer.registry" && found.version === 1;
  return {
    noun: act.noun,
    headline: act.headline(found),
    lines: act.lines(found),
    details: [line("Maker", found.maker, "mono"), ...act.details(found)],
    expires: found.expires ?? null,
    maker: found.maker,
    suspended: found.suspended ?? null,
    goodForHours: isFounding ? GOOD_FOR_HOURS : act.goodForHours ?? GOOD_FOR_HOURS,
    verb: act.verb ?? "approve",
    answers: act.answers ?? ["approve", "reject"],
    asks: act.asks ?? false,
    isFounding,
  };
}

// Unreadable where the act would be good for longer than its kind may be; a minute is for clocks that differ.
export function checkTime({ expires, goodForHours, noun }, now) {
  if (expires !== null && Date.parse(expires) > now + goodForHours * 3_600_000 + 60_000) {
    throw new Unreadable(`This ${noun} would be good for longer than ${goodForHours} hours.`);
  }
}

function line(label, value, form = "text", note = "") {
  return { label, value, form, note };
}
