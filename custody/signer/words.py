"""A registry in words: what a version says, and what the next one changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kernel import canonical, evm, lane, networks, registration
from kernel.intent import SWEEP
from kernel.money import Amount
from kernel.registry import Registry
from kernel.safe import Safe
from kernel.wallet import Wallet

TEXT_MAX: Final = 120


def describe(registry: Registry) -> Iterator[str]:
    """The registry in plain lines, in the order in which a person compares them."""
    yield f"registry version {registry.version} of {registry.deployment} on {registry.network}"
    yield f"  digest  {registry.digest.hex()}"
    yield f"  officers sign at {registry.origin} (relying party {registry.rp_id})"
    for officer in registry.officers.values():
        yield f"  officer {officer.name} ({', '.join(sorted(officer.teams))}) {officer.id}"
        yield f"          passkey {spoken(officer.public_key)}"
        yield f"          key {officer.public_key.hex()}"
        if officer.decoder_key:
            yield f"          decoder {officer.decoder_key.hex()}"
    for wallet in registry.wallets.values():
        yield f"  wallet  {wallet.name}: {wallet.threshold} of {', '.join(wallet.tokens)}"
        yield f"          {len(wallet.keys)} addresses, the first is {wallet.address(0)}"
        most = _btc(registry.limits.window_units_max[wallet.name])
        is_swept = SWEEP in registry.policies and registry.policies[SWEEP].source == wallet.name
        yield f"          at most {most} per window{', sweeps aside' if is_swept else ''}"
    for safe in registry.safes.values():
        yield from _safe_lines(safe)
    for kind, policy in registry.policies.items():
        way = f"{policy.source or '-'} to {policy.destination or 'any address'}"
        yield f"  policy  {kind} v{policy.version}: {_teams(policy.teams)}; {way}"
        if policy.confirm_above is not None:
            yield f"          above {policy.confirm_above} units each confirms on an offline decoder"
    for rule in registry.rules.rules if registry.rules else ():
        when = " and ".join(f"{one.fact} {one.comparison} {one.value}" for one in rule.when) or "always"
        yield f"  rule    {rule.name}: {when}: {rule.deny or _teams(rule.teams)}"
    limits = registry.limits
    yield f"  limits  fee {limits.fee_sats_max} sats, {limits.feerate_sats_vb_max} sats/vB"
    yield f"          window {limits.window_s} s, intents live {limits.intent_life_s} s at most"
    yield f"          a new registry waits {limits.registry_delay_s} s for a veto"
    for name, section in registry.lanes.items():
        yield from lane_lines(section, registry.wallets[name])
    if registry.customers is not None:
        yield f"  customers' passkeys count at {registry.customers.origin}"
    if registry.witnesses is not None:
        who, found = registry.witnesses, sorted(registry.witnesses.tokens)
        yield f"  witnesses {who.quorum} of {len(who.keys)} within {who.age_s_max} s, for {', '.join(found)}"
        for key in who.keys:
            yield f"          {key}"
    if registry.recovery is not None:
        back = registry.recovery
        yield f"  recovery {back.quorum} of {len(back.officers)}, after {back.delay_s} s without a veto"
        for officer in back.officers.values():
            yield f"          {officer.name} {officer.id}"
            yield f"          passkey {spoken(officer.public_key)}"
            yield f"          key {officer.public_key.hex()}"


def _safe_lines(safe: Safe) -> Iterator[str]:
    """A Safe as its page on the chain shows it: contract, owners and threshold, and what may leave it."""
    yield f"  safe    {safe.name}: {safe.threshold} of {', '.join(safe.tokens)}; {_teams(safe.teams)}"
    yield f"          {safe.address} on {networks.spoken(safe.network)}, policy v{safe.policy}"
    for token, key in safe.owners.items():
        yield f"          owner {evm.address_of(key)} is {token}"
    for one in safe.assets.values():
        yield f"          {one.code} ({one.contract or 'the chain itself'}):"
        yield f"            at most {_amount(one.window_units_max, one.code)} per window"
        for what, units in (("payment", one.payment_units_max), ("destination", one.destination_units_max)):
            if units is not None:
                yield f"            at most {_amount(units, one.code)} per {what}"
        if one.confirm_above is not None:
            above = _amount(one.confirm_above, one.code)
            yield f"            above {above} each confirms on an offline decoder"
    yield "          nothing leaves it without officers: it has no lane"


def lane_lines(section: lane.Lane, wallet: Wallet) -> Iterator[str]:
    """What a wallet pays unattended, and the most that can be lost by it."""
    yield f"  lane    {wallet.name} pays unattended, in {section.window_s} s:"
    yield f"          {_btc(section.transaction_units_max)} per transaction"
    yield f"          {_btc(section.destination_units_max)} per destination"
    yield f"          {_btc(section.window_units_max)} in all, {_btc(_share(section, wallet))} per signer"
    yield f"          to what it has known for {section.cooling_off_s} s, twice that for a new key"
    yield f"          while books agreed within {section.attestation_age_s_max} s, says one of:"
    for name, key in section.reconcilers.items():
        yield f"            {name} {key.hex()}"
    yield "          worst loss per window, all of the web tier and its database lost:"
    for lost in range(wallet.threshold):
        worst = lane.worst_loss(
            section.window_units_max,
            threshold=wallet.threshold,
            tokens=len(wallet.tokens),
            hosts_lost=lost,
        )
        also = f" and {lost} signers' hosts with it" if lost else ""
        yield f"            {_btc(worst)}{also}"


def _share(section: lane.Lane, wallet: Wallet) -> int:
    return wallet.share(section.window_units_max)


def differences(old: Registry, new: Registry) -> Iterator[str]:
    """What the new version changes, in words."""
    yield f"version {old.version} -> {new.version}"
    before, after = canonical.decode_object(old.encoded), canonical.decode_object(new.encoded)
    before.pop("version"), after.pop("version")
    for path, was, becomes in _changes(before, after, ()):
        yield _words(path, was, becomes, old=old, new=new)


_Path = tuple[str, ...]


def _changes(
    old: canonical.Value, new: canonical.Value, path: _Path
) -> Iterator[tuple[_Path, canonical.Value, canonical.Value]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(name), new.get(name), (*path, name))
    elif isinstance(old, list) and isinstance(new, list) and max(map(_length, (old, new))) > TEXT_MAX:
        # By place: whole, the list would be cut, and the change perhaps with it.
        for place in range(max(len(old), len(new))):
            was, becomes = (each[place] if place < len(each) else None for each in (old, new))
            yield from _changes(was, becomes, (*path, str(place + 1)))
    elif old != new:
        yield path, old, new


def _words(
    path: _Path, was: canonical.Value, becomes: canonical.Value, *, old: Registry, new: Registry
) -> str:
    what = " / ".join(path)
    if path[:2] == ("recovery", "officers") and path[3:] == ("public_key",):
        before, after = (spoken(bytes.fromhex(str(key))) for key in (was, becomes))
        return f"{what}: ANOTHER PASSKEY, {before} -> {after}"
    if path[0] == "officers":
        officer = new.officers.get(path[1]) or old.officers[path[1]]
        what = " / ".join((f"officer {officer.name} ({path[1]})", *path[2:]))
        if path[2:] == ("public_key",):
            before, after = (spoken(bytes.fromhex(str(key))) for key in (was, becomes))
            return f"{what}: ANOTHER PASSKEY, {before} -> {after}"
        if was is None and (added := new.officers.get(path[1])):
            teams = ", ".join(sorted(added.teams))
            return f"{what}: added to {teams}, passkey {spoken(added.public_key)}: {_text(becomes)}"
    if was is None:
        return f"{what}: added: {_text(becomes)}"
    if becomes is None:
        return f"{what}: removed, was {_text(was)}"
    spoken_too = ""
    if _is_units(path):
        asset = path[3] if path[0] == "safes" else "BTC"
        spoken_too = f" ({_amount(int(str(was)), asset)} -> {_amount(int(str(becomes)), asset)})"
    return f"{what}: {_text(was)} -> {_text(becomes)}{spoken_too}"


def _is_units(path: _Path) -> bool:
    """Whether smallest units stand there: eight digits more or less are not seen at a glance."""
    return any(part.endswith("_units_max") or part == "confirm_above" for part in path[:5])


def spoken(public_key: bytes) -> str:
    """The fingerprint in groups, as the approver page showed it to the officer who made the passkey."""
    return grouped(registration.fingerprint(public_key))


def grouped(whole: str) -> str:
    """The same of a fingerprint."""
    return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


def _teams(teams: Mapping[str, int]) -> str:
    return " and ".join(f"{count} of {team}" for team, count in teams.items())


def _btc(units: int) -> str:
    return _amount(units, "BTC")


def _amount(units: int, asset: str) -> str:
    return f"{Amount(units, asset)} {asset}"


def _text(value: canonical.Value) -> str:
    text = canonical.encode(value).decode()
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 33]}...{text[-30:]}"


def _length(value: canonical.Value) -> int:
    return len(canonical.encode(value))
