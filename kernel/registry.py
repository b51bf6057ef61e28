"""The registry: what a signer believes about officers, wallets, policies and limits, from one pinned file.

The web tier reads the same file to derive addresses and to know the quorums, but a signer never takes these
facts from the web tier: it compares the file's digest with the one it pinned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kernel import canonical, confirmation, encodings, policy, script, secp256k1, webauthn
from kernel.intent import BadIntent, uuid

_NETWORKS: Final = frozenset({"mainnet", "testnet", "signet", "regtest"})
_MEMBERS: Final = frozenset(
    {"v", "version", "deployment", "network", "rp_id", "origin", "officers", "wallets", "policies", "limits"}
)
_UNITS = re.compile(r"0|[1-9][0-9]{0,18}")
_WINDOW_S_MAX: Final = 366 * 86_400
_INTENT_LIFE_S: Final = 7 * 86_400


class BadRegistry(ValueError):
    """The file does not have the shape of a registry."""


@dataclass(frozen=True, slots=True)
class Officer:
    """A person whose passkey is pinned: `public_key` is an uncompressed P-256 point.

    `decoder_key` is the Ed25519 key of their offline decoder, for what is above a policy's `confirm_above`.
    """

    id: str
    name: str
    teams: frozenset[str]
    public_key: bytes
    decoder_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A multisig wallet: `threshold` of `tokens`; address i is made of key i of each token."""

    name: str
    network: str
    threshold: int
    tokens: tuple[str, ...]
    keys: tuple[tuple[bytes, ...], ...]

    def witness_script(self, index: int) -> bytes:
        """The script of address `index`."""
        return script.sorted_multisig(self.threshold, self.keys[index])

    def output_script(self, index: int) -> bytes:
        """What an output to address `index` holds."""
        return script.p2wsh(self.witness_script(index))

    def address(self, index: int) -> str:
        """Address `index` as text."""
        return script.address_of(self.output_script(index), self.network)

    def key_of(self, token: str, index: int) -> bytes:
        """The compressed public key that this token holds for address `index`."""
        return self.keys[index][self.tokens.index(token)]


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """Who must approve a kind of act, and where money may go (`destination`: hot/0; empty: anywhere).

    More units than `confirm_above` are approved only with each officer's second signature, by their decoder.
    """

    teams: Mapping[str, int]
    version: int = 1
    source: str = ""
    destination: str = ""
    confirm_above: int | None = None

    def wants_confirmation(self, units: int) -> bool:
        """Whether each approval of so much must be confirmed on an offline decoder."""
        return self.confirm_above is not None and units > self.confirm_above


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps that a signer keeps by itself; mappings are per wallet, and a wallet not named has no such cap.

    A payment counts alone, a destination what it got within the window, a window all that left the wallet.
    """

    fee_sats_max: int
    feerate_sats_vb_max: int
    window_s: int
    window_units_max: Mapping[str, int]
    payment_units_max: Mapping[str, int] = field(default_factory=dict)
    destination_units_max: Mapping[str, int] = field(default_factory=dict)
    intent_life_s: int = _INTENT_LIFE_S
    registry_delay_s: int = 0


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

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical file: what signers pin."""
        return canonical.digest(self.encoded)

    @classmethod
    def parse(cls, data: bytes) -> Registry:
        """Read the file strictly (one final newline may stand); BadRegistry or NotCanonical says why not."""
        data = data.removesuffix(b"\n")
        document = canonical.decode_object(data)
        if frozenset(document) != _MEMBERS or document["v"] != 1:
            odd = ", ".join(sorted(frozenset(document) ^ _MEMBERS)) or "v"
            raise BadRegistry(f"version 1 of a registry has other members: {odd}")
        network = _text(document, "network")
        if network not in _NETWORKS:
            raise BadRegistry(f"unknown network {network[:20]!r}")
        try:
            officers = {name: _officer(name, part) for name, part in _object(document["officers"]).items()}
            wallets = {
                name: _wallet(name, part, network) for name, part in _object(document["wallets"]).items()
            }
            policies = {kind: _policy(_object(part)) for kind, part in _object(document["policies"]).items()}
        except (webauthn.BadPublicKey, secp256k1.BadKey, script.BadScript) as error:
            raise BadRegistry(str(error)) from None
        except (policy.BadPolicy, encodings.BadEncoding, BadIntent) as error:
            raise BadRegistry(str(error)) from None
        if len({officer.public_key for officer in officers.values()}) != len(officers):
            raise BadRegistry("two officers share a key, so one person could count twice")
        pool = [key for wallet in wallets.values() for keys in wallet.keys for key in keys]
        if len(set(pool)) != len(pool):
            raise BadRegistry("a signing key stands in two places")
        return cls(
            version=_positive(document, "version"),
            deployment=_text(document, "deployment"),
            network=network,
            rp_id=_text(document, "rp_id"),
            origin=_text(document, "origin"),
            officers=officers,
            wallets=wallets,
            policies=policies,
            limits=_limits(_object(document["limits"]), wallets),
            encoded=data,
        )

    def own_address(self, name: str) -> tuple[str, int]:
        """Read `hot/0`: a wallet of ours and an index in it."""
        wallet, _, index = name.partition("/")
        if wallet not in self.wallets or not index.isdecimal() or str(int(index)) != index:
            raise BadRegistry(f"no address of ours: {name[:40]!r}")
        if int(index) >= len(self.wallets[wallet].keys):
            raise BadRegistry(f"no address of ours: {name[:40]!r}")
        return wallet, int(index)


def _object(value: canonical.Value) -> Mapping[str, canonical.Value]:
    if not isinstance(value, Mapping):
        raise BadRegistry("an object was expected")
    return value


def _exact(value: Mapping[str, canonical.Value], needed: set[str], optional: Sequence[str] = ()) -> None:
    odd = needed - value.keys() | value.keys() - needed - set(optional)
    if odd:
        raise BadRegistry(f"missing or unknown: {', '.join(sorted(odd))}")


def _text(value: Mapping[str, canonical.Value], name: str) -> str:
    found = value[name]
    if not isinstance(found, str) or not found:
        raise BadRegistry(f"{name} is text that is not empty")
    return found


def _texts(value: Mapping[str, canonical.Value], name: str) -> list[str]:
    found = value[name]
    if not isinstance(found, list) or not found or not all(isinstance(item, str) and item for item in found):
        raise BadRegistry(f"{name} is a list of texts that is not empty")
    if len(set(found)) != len(found):
        raise BadRegistry(f"{name} repeats itself")
    return [str(item) for item in found]


def _positive(value: Mapping[str, canonical.Value], name: str) -> int:
    found = value[name]
    if type(found) is not int or found < 1:
        raise BadRegistry(f"{name} is a positive integer")
    return found


def _units(value: Mapping[str, canonical.Value], name: str) -> int:
    found = value[name]
    if not isinstance(found, str) or not _UNITS.fullmatch(found):
        raise BadRegistry(f"{name} is a decimal string of units")
    return int(found)


def _officer(identity: str, value: canonical.Value) -> Officer:
    members = _object(value)
    _exact(members, {"name", "teams", "public_key"}, ("decoder_key",))
    key = encodings.from_hex(_text(members, "public_key"))
    webauthn.public(key)
    decoder = encodings.from_hex(_text(members, "decoder_key")) if "decoder_key" in members else b""
    if len(decoder) not in (0, confirmation.KEY_BYTES):
        raise BadRegistry("a decoder's key is 32 bytes")
    name, teams = _text(members, "name"), frozenset(_texts(members, "teams"))
    return Officer(str(uuid(identity)), name, teams, key, decoder)


def _wallet(name: str, value: canonical.Value, network: str) -> Wallet:
    members = _object(value)
    _exact(members, {"m", "tokens", "keys"})
    tokens, rows = tuple(_texts(members, "tokens")), members["keys"]
    if not isinstance(rows, list) or not rows:
        raise BadRegistry(f"wallet {name} has no keys")
    keys = tuple(tuple(encodings.from_hex(text) for text in _texts({"keys": row}, "keys")) for row in rows)
    if any(len(row) != len(tokens) for row in keys):
        raise BadRegistry(f"wallet {name}: each address has one key of each token")
    wallet = Wallet(name, network, _positive(members, "m"), tokens, keys)
    if 2 * wallet.threshold <= len(tokens):
        # Each signer remembers what it signed. Only if any two quorums share a signer does every second
        # version of a payment meet somebody who remembers the first.
        raise BadRegistry(f"wallet {name}: the threshold is no majority of its tokens")
    for index in range(len(keys)):
        wallet.witness_script(index)
    return wallet


def _policy(members: Mapping[str, canonical.Value]) -> KindPolicy:
    _exact(members, {"teams"}, ("version", "source", "destination", "confirm_above"))
    return KindPolicy(
        policy.teams(members["teams"]),
        _positive(members, "version") if "version" in members else 1,
        _text(members, "source") if "source" in members else "",
        _text(members, "destination") if "destination" in members else "",
        _units(members, "confirm_above") if "confirm_above" in members else None,
    )


def _limits(members: Mapping[str, canonical.Value], wallets: Mapping[str, Wallet]) -> Limits:
    caps = ("payment_units_max", "destination_units_max")
    needed = {"fee_sats_max", "feerate_sats_vb_max", "window_s", "window_units_max"}
    _exact(members, needed, (*caps, "intent_life_s", "registry_delay_s"))
    window_s, window = _positive(members, "window_s"), _caps(members, "window_units_max", wallets)
    if window_s > _WINDOW_S_MAX or window.keys() != wallets.keys():
        raise BadRegistry("window_s is a year at most, and window_units_max names every wallet")
    return Limits(
        fee_sats_max=_units(members, "fee_sats_max"),
        feerate_sats_vb_max=_units(members, "feerate_sats_vb_max"),
        window_s=window_s,
        window_units_max=window,
        payment_units_max=_caps(members, "payment_units_max", wallets),
        destination_units_max=_caps(members, "destination_units_max", wallets),
        intent_life_s=_positive(members, "intent_life_s") if "intent_life_s" in members else _INTENT_LIFE_S,
        registry_delay_s=_positive(members, "registry_delay_s") if "registry_delay_s" in members else 0,
    )


def _caps(
    members: Mapping[str, canonical.Value], name: str, wallets: Mapping[str, Wallet]
) -> Mapping[str, int]:
    caps = _object(members.get(name, {}))
    if not caps.keys() <= wallets.keys():
        raise BadRegistry(f"{name} names a wallet that does not exist")
    return {wallet: _units(caps, wallet) for wallet in caps}
