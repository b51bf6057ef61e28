"""The registry: what a signer believes about officers, wallets, policies and limits, from one pinned file.

The web tier reads the same file to derive addresses and to know the quorums, but a signer never takes these
facts from the web tier: it compares the file's digest with the one it pinned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kernel import (
    canonical,
    confirmation,
    customer,
    encodings,
    lane,
    members,
    note,
    policy,
    quorum,
    registration,
    script,
    secp256k1,
    webauthn,
)
from kernel.approval import Verb
from kernel.cosignature import Cosigner
from kernel.intent import REFILL, SWEEP, BadIntent, uuid
from kernel.pinned import INTENT_LIFE_S, MAKERS, KindPolicy, Limits, Officer, Recovery, Witnesses
from kernel.safe import Safe
from kernel.wallet import Wallet

DELAY_S_MIN: Final = 86_400  # where real money is: time for officers to see an announcement, and to veto it
_NETWORKS: Final = frozenset({"mainnet", "testnet", "signet", "regtest"})
_MEMBERS: Final = frozenset(
    {"v", "version", "deployment", "network", "rp_id", "origin", "officers", "wallets", "policies", "limits"}
)
_OPTIONAL: Final = frozenset({"customers", "lanes", "recovery", "rules", "safes", "witnesses"})
_WINDOW_S_MAX: Final = 366 * 86_400
RECOVERY_DELAY_S_MIN: Final = 3 * 86_400
RECOVERS: Final = ", for a recovery"
"""Behind the name of whoever is there for nothing else, where an order says whose passkeys a file has."""


class BadRegistry(ValueError):
    """The file does not have the shape of a registry."""


@dataclass(frozen=True, slots=True)
class Registry:
    """One version of the pinned facts."""

    version: int
    deployment: str
    network: str
    rp_id: str
    origin: str
    officers: Mapping[str, Officer]
    wallets: Mapping[str, Wallet]
    policies: Mapping[str, KindPolicy]
    limits: Limits
    encoded: bytes
    customers: customer.Site | None = None
    lanes: Mapping[str, lane.Lane] = field(default_factory=dict)
    witnesses: Witnesses | None = None
    recovery: Recovery | None = None
    rules: policy.Policy | None = None
    safes: Mapping[str, Safe] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical file: what signers pin."""
        return canonical.digest(self.encoded)

    @classmethod
    def parse(cls, data: bytes) -> Registry:
        """Read the file strictly (one final newline may stand); BadRegistry or NotCanonical says why not."""
        data = data.removesuffix(b"\n")
        document = canonical.decode_object(data)
        try:
            return cls._read(document, data)
        except (webauthn.BadPublicKey, secp256k1.BadKey, script.BadScript, note.BadNote) as error:
            raise BadRegistry(str(error)) from None
        except (policy.BadPolicy, encodings.BadEncoding, BadIntent, members.BadMember) as error:
            raise BadRegistry(str(error)) from None

    @classmethod
    def _read(cls, document: Mapping[str, canonical.Value], data: bytes) -> Registry:
        members.exact(document, set(_MEMBERS), tuple(_OPTIONAL))
        network = members.text(document, "network")
        if not members.is_version(document["v"], 1) or network not in _NETWORKS:
            raise BadRegistry(f"not version 1, or unknown network {network[:20]!r}")
        parts = {name: members.an_object(document[name]) for name in ("officers", "wallets", "policies")}
        officers = {name: _officer(name, part) for name, part in parts["officers"].items()}
        wallets = {name: _wallet(name, part, network) for name, part in parts["wallets"].items()}
        recovery = _recovery(document["recovery"]) if "recovery" in document else None
        people = [*officers.values(), *(recovery.officers.values() if recovery else ())]
        if len({one.public_key for one in people}) != len(people) or len({one.id for one in people}) != len(
            people
        ):
            raise BadRegistry("two officers share a key, so one person could count twice")
        decoders = [one.decoder_key for one in people if one.decoder_key]
        if len(set(decoders)) != len(decoders):
            raise BadRegistry("two officers share a decoder, so one could confirm for both")
        limits = _limits(members.an_object(document["limits"]), wallets)
        if network == "mainnet" and limits.registry_delay_s < DELAY_S_MIN:
            raise BadRegistry("registry_delay_s: a new registry waits at least a day on mainnet")
        safes = _safes(document.get("safes", {}), wallets)
        signing: tuple[Wallet | Safe, ...] = (*wallets.values(), *safes.values())
        pool = [key for wallet in signing for keys in wallet.keys for key in keys]
        if len(set(pool)) != len(pool):
            raise BadRegistry("a signing key stands in two places")
        policies = {kind: _policy(members.an_object(part)) for kind, part in parts["policies"].items()}
        _check_sweep(policies)
        return cls(
            version=members.positive(document, "version"),
            deployment=members.text(document, "deployment"),
            network=network,
            rp_id=members.text(document, "rp_id"),
            origin=members.text(document, "origin"),
            officers=officers,
            wallets=wallets,
            policies=policies,
            limits=limits,
            encoded=data,
            customers=_site(document["customers"]) if "customers" in document else None,
            lanes=_lanes(document.get("lanes", {}), wallets),
            witnesses=_witnesses(document["witnesses"], signing) if "witnesses" in document else None,
            recovery=recovery,
            rules=_rules(document["rules"]) if "rules" in document else None,
            safes=safes,
        )

    @property
    def signing(self) -> tuple[Wallet | Safe, ...]:
        """Everything out of which something is paid."""
        return (*self.wallets.values(), *self.safes.values())

    @property
    def remembered_s(self) -> int:
        """How long a payment matters: its windows, the life of what officers signed, and a minute, since a
        clock may be steered back a little.
        """
        lives = (self.limits.window_s, int(self.limits.order_life.total_seconds()))
        return 60 + max(*lives, *(lane.window_s for lane in self.lanes.values()))

    @property
    def askers(self) -> frozenset[str]:
        """The officers who may ask for what a quorum then decides."""
        makers = frozenset(one.id for one in self.officers.values() if MAKERS in one.teams)
        return makers or frozenset(self.officers)

    def is_reached(self, teams: Mapping[str, int], *, maker: str = "", without: Collection[str] = ()) -> bool:
        """Whether the officers reach that quorum where this one asks and those others do not count."""
        left = [one for one in self.officers.values() if one.id not in without]
        given = [quorum.Given(one.id, one.teams, Verb.APPROVE) for one in left]
        return quorum.judge(teams, given, maker=maker).approved

    def discounted(self, teams: Mapping[str, int], concerned: Iterable[str]) -> frozenset[str]:
        """Those of the concerned who are not heard about what they ordered themselves.

        The first come first, and only as long as the others can still decide beside somebody who asks, who is
        none of those before: where officers are few, none of the concerned locks everybody out.
        """
        out: frozenset[str] = frozenset()
        for one in concerned:
            left = {*out, one}
            if one in self.officers and any(
                self.is_reached(teams, maker=asker, without=left) for asker in self.askers - out
            ):
                out |= {one}
        return out

    @property
    def keys(self) -> tuple[str, ...]:
        """Each officer's passkey by its fingerprint, and the name: as an order to take this file up says.

        Those for a recovery as well, after the others: they can put all others aside.
        """
        found = [(one, "") for one in self.officers.values()]
        if self.recovery is not None:
            found += [(one, RECOVERS) for one in self.recovery.officers.values()]
        return tuple(f"{registration.fingerprint(one.public_key)} {one.name}{note}" for one, note in found)

    def differs_in_officers_only(self, old: Registry) -> bool:
        """Whether nothing but officers and the version differ: all that a recovery may bring."""
        before, after = (canonical.decode_object(one.encoded) for one in (old, self))
        for document in (before, after):
            for name in ("officers", "version"):
                document.pop(name)
        return before == after

    def own_address(self, name: str) -> tuple[str, int]:
        """Read `hot/0`: a wallet of ours and an index in it."""
        wallet, _, index = name.partition("/")
        if wallet not in self.wallets or not index.isdecimal() or str(int(index)) != index:
            raise BadRegistry(f"no address of ours: {name[:40]!r}")
        if int(index) >= len(self.wallets[wallet].keys):
            raise BadRegistry(f"no address of ours: {name[:40]!r}")
        return wallet, int(index)


def _officer(identity: str, value: canonical.Value) -> Officer:
    part = members.an_object(value)
    members.exact(part, {"name", "teams", "public_key"}, ("decoder_key",))
    decoder = encodings.from_hex(members.text(part, "decoder_key")) if "decoder_key" in part else b""
    if len(decoder) not in (0, confirmation.KEY_BYTES):
        raise BadRegistry("a decoder's key is 32 bytes")
    return replace(_person(identity, part, frozenset(members.texts(part, "teams"))), decoder_key=decoder)


def _person(identity: str, part: Mapping[str, canonical.Value], teams: frozenset[str]) -> Officer:
    key = encodings.from_hex(members.text(part, "public_key"))
    webauthn.public(key)
    return Officer(str(uuid(identity)), members.text(part, "name"), teams, key)


def _wallet(name: str, value: canonical.Value, network: str) -> Wallet:
    part = members.an_object(value)
    members.exact(part, {"m", "tokens", "keys"})
    tokens, rows = tuple(members.texts(part, "tokens")), part["keys"]
    if not isinstance(rows, list) or not rows:
        raise BadRegistry(f"wallet {name} has no keys")
    keys = tuple(
        tuple(encodings.from_hex(text) for text in members.texts({"keys": row}, "keys")) for row in rows
    )
    if any(len(row) != len(tokens) for row in keys):
        raise BadRegistry(f"wallet {name}: each address has one key of each token")
    wallet = Wallet(name, network, members.positive(part, "m"), tokens, keys)
    if 2 * wallet.threshold <= len(tokens):
        # Each signer remembers what it signed. Only if any two quorums share a signer does every second
        # version of a payment meet somebody who remembers the first.
        raise BadRegistry(f"wallet {name}: the threshold is no majority of its tokens")
    return wallet


def _policy(part: Mapping[str, canonical.Value]) -> KindPolicy:
    members.exact(part, {"teams"}, ("version", "source", "destination", "confirm_above"))
    return KindPolicy(
        policy.teams(part["teams"]),
        members.positive(part, "version") if "version" in part else 1,
        members.text(part, "source") if "source" in part else "",
        members.text(part, "destination") if "destination" in part else "",
        members.units(part, "confirm_above") if "confirm_above" in part else None,
    )


def _check_sweep(policies: Mapping[str, KindPolicy]) -> None:
    """Nothing, if sweeps go back to where refills come from and nowhere else: signers cap their fees only."""
    sweep, refill = policies.get(SWEEP), policies.get(REFILL, KindPolicy({}))
    back = (refill.destination.partition("/")[0], refill.source)
    if sweep and (not all(back) or (sweep.source, sweep.destination.partition("/")[0]) != back):
        raise BadRegistry("a sweep goes from the wallet that refills fill to the one they leave")


def _limits(part: Mapping[str, canonical.Value], wallets: Mapping[str, Wallet]) -> Limits:
    caps = ("payment_units_max", "destination_units_max")
    needed = {"fee_sats_max", "feerate_sats_vb_max", "window_s", "window_units_max"}
    members.exact(part, needed, (*caps, "intent_life_s", "registry_delay_s"))
    window_s, window = members.positive(part, "window_s"), _caps(part, "window_units_max", wallets)
    if window_s > _WINDOW_S_MAX or window.keys() != wallets.keys():
        raise BadRegistry("window_s is a year at most, and window_units_max names every wallet")
    return Limits(
        fee_sats_max=members.units(part, "fee_sats_max"),
        feerate_sats_vb_max=members.units(part, "feerate_sats_vb_max"),
        window_s=window_s,
        window_units_max=window,
        payment_units_max=_caps(part, "payment_units_max", wallets),
        destination_units_max=_caps(part, "destination_units_max", wallets),
        intent_life_s=members.positive(part, "intent_life_s") if "intent_life_s" in part else INTENT_LIFE_S,
        registry_delay_s=members.positive(part, "registry_delay_s") if "registry_delay_s" in part else 0,
    )


def _caps(part: Mapping[str, canonical.Value], name: str, wallets: Mapping[str, Wallet]) -> Mapping[str, int]:
    caps = members.an_object(part.get(name, {}))
    if not caps.keys() <= wallets.keys():
        raise BadRegistry(f"{name} names a wallet that does not exist")
    return {wallet: members.units(caps, wallet) for wallet in caps}


def _site(value: canonical.Value) -> customer.Site:
    part = members.an_object(value)
    members.exact(part, {"rp_id", "origin"})
    return customer.Site(members.text(part, "rp_id"), members.text(part, "origin"))


def _lanes(value: canonical.Value, wallets: Mapping[str, Wallet]) -> Mapping[str, lane.Lane]:
    part = members.an_object(value)
    if not part.keys() <= wallets.keys():
        raise BadRegistry("lanes name a wallet that does not exist, or a Safe: it pays nothing unattended")
    return {name: lane.Lane.read(section) for name, section in part.items()}


def _safes(value: canonical.Value, wallets: Mapping[str, Wallet]) -> Mapping[str, Safe]:
    """Each by a name of its own, a contract of its own, and tokens of its own."""
    found = {name: Safe.read(name, part) for name, part in members.an_object(value).items()}
    tokens = [token for one in found.values() for token in one.tokens]
    taken = {token for wallet in wallets.values() for token in wallet.tokens}
    if found.keys() & wallets.keys() or len({*tokens, *taken}) != len(tokens) + len(taken):
        raise BadRegistry("a Safe shares its name or a token with another wallet")
    if len({(one.chain_id, one.address) for one in found.values()}) != len(found):
        raise BadRegistry("two names for one Safe, so its limits would count twice")
    return found


def _witnesses(value: canonical.Value, signing: Sequence[Wallet | Safe]) -> Witnesses:
    part = members.an_object(value)
    members.exact(part, {"keys", "quorum", "age_s_max", "tokens"})
    keys = tuple(Cosigner.parse(text) for text in members.texts(part, "keys"))
    quorum, tokens = members.positive(part, "quorum"), frozenset(members.texts(part, "tokens"))
    if len({key.public_key for key in keys}) != len(keys) or len({key.name for key in keys}) != len(keys):
        raise BadRegistry("two witnesses share a name or a key")
    if quorum > len(keys) or not tokens <= {token for wallet in signing for token in wallet.tokens}:
        raise BadRegistry("witnesses: more are needed than named, or a token is unknown")
    return Witnesses(keys, quorum, members.positive(part, "age_s_max"), tokens)


def _recovery(value: canonical.Value) -> Recovery:
    part = members.an_object(value)
    members.exact(part, {"officers", "quorum", "delay_s"})
    officers: dict[str, Officer] = {}
    for identity, person in members.an_object(part["officers"]).items():
        found = members.an_object(person)
        members.exact(found, {"name", "public_key"})
        officers[identity] = _person(identity, found, frozenset({"recovery"}))
    quorum, delay_s = members.positive(part, "quorum"), members.positive(part, "delay_s")
    if not 2 <= quorum <= len(officers) or not RECOVERY_DELAY_S_MIN <= delay_s <= _WINDOW_S_MAX:
        raise BadRegistry("recovery takes two officers at least, and three days to a year of delay")
    return Recovery(officers, quorum, delay_s)


def _rules(value: canonical.Value) -> policy.Policy:
    found = policy.Policy.parse(canonical.encode(value))
    if found.windows:
        raise BadRegistry("rules of a registry have no windows: signers count by their own limits")
    if any(rule.approve_s or rule.execute_s for rule in found.rules):
        raise BadRegistry("rules of a registry have no periods: signers go by the expiry that was signed")
    if any(rule.unattended for rule in found.rules):
        raise BadRegistry("rules of a registry name teams: what takes none is said by its lanes")
    return found
