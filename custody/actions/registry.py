"""Bringing wallets, addresses and quorums to where the registry says they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Count

from core import audit, outbox
from core.action import action
from core.actor import Actor
from core.refusals import Refused
from custody import queries
from custody.domain.wallets import Targets
from custody.events import Event, RegistryLoaded
from custody.models import Address, Asker, DecoderKey, Lane, PaymentPolicy, Wallet
from kernel.registry import Registry
from kernel.wallet import Wallet as Described

_OF_A_WALLET: Final = (
    "tier",
    "network",
    "threshold",
    "tokens",
    "refill_below",
    "target",
    "order_life_s",
    "fee_units_max",
    "feerate_max",
)
_OF_A_POLICY: Final = ("version", "teams", "source", "confirm_above")
_NOT_TOLD: Final = ("id", "wallet", "registry_version")


class WrongRegistry(Refused):
    """The file is for another deployment or network, older than the one that is loaded, or contradicts an
    address that is in use.
    """

    code = "custody.wrong_registry"


@action(Event.REGISTRY_LOADED)
def load_registry(*, registry: Registry, targets: Targets, actor: Actor, now: datetime) -> list[Wallet]:
    """Wallets with all their addresses, the quorums, and who may ask, as the registry describes them.

    Addresses are only ever added: one that is there with other keys refuses the whole file.
    """
    if (registry.deployment, registry.network) != (settings.DEPLOYMENT, settings.NETWORK):
        raise WrongRegistry(
            f"Nothing was loaded: the registry is for {registry.deployment} on {registry.network}, "
            f"this is {settings.DEPLOYMENT} on {settings.NETWORK}."
        )
    if registry.version < (loaded := queries.loaded_registry()):
        raise WrongRegistry(
            f"Nothing was loaded: the file is version {registry.version}, and version {loaded} is loaded "
            "here. Give the file that the signers run with."
        )
    before = _standing()
    wallets = [_wallet(described, registry, targets) for described in registry.wallets.values()]
    for kind, policy in registry.policies.items():
        PaymentPolicy.objects.update_or_create(
            kind=kind,
            defaults={
                "version": policy.version,
                "teams": dict(policy.teams),
                "source": policy.source,
                "confirm_above": policy.confirm_above,  # type: ignore[misc]
                "registry_version": registry.version,
            },
        )
    _take_up_askers(registry)
    _take_up_decoders(registry)
    _take_up_lanes(registry)
    after = _standing()
    changed = [name for name in after if before[name] != after[name]]
    audit.record(
        Event.REGISTRY_LOADED,
        f"custody.registry/{registry.version}",
        actor=actor,
        now=now,
        before={name: before[name] for name in changed},
        after={
            "digest": registry.digest,
            **{name: after[name] for name in changed},
            "wallets": after["wallets"] if "wallets" in changed else [wallet.name for wallet in wallets],
        },
    )
    outbox.publish(RegistryLoaded(version=registry.version), now=now)
    return wallets


def _standing() -> dict[str, dict[str, Any]]:
    """What a registry sets here, for its event: what the file's digest alone would not tell a reader of the
    log, nor how much a refill fills up to, which stands in no registry.
    """
    wallets = Wallet.objects.annotate(count=Count("addresses")).order_by("name")
    lanes = Lane.objects.order_by("wallet__name")
    columns = [one.name for one in Lane._meta.concrete_fields if one.name not in _NOT_TOLD]
    return {
        "wallets": {
            row.name: {name: getattr(row, name) for name in _OF_A_WALLET} | {"addresses": row.count}
            for row in wallets
        },
        "policies": {
            row.kind: {name: getattr(row, name) for name in _OF_A_POLICY}
            for row in PaymentPolicy.objects.order_by("kind")
        },
        "askers": {str(one): True for one in Asker.objects.order_by("pk").values_list("pk", flat=True)},
        "decoders": {str(row.pk): row.public_key for row in DecoderKey.objects.order_by("pk")},
        "lanes": {row.wallet.name: {name: getattr(row, name) for name in columns} for row in lanes},
    }


def _take_up_askers(registry: Registry) -> None:
    askers = {UUID(one): registry.officers[one].name for one in registry.askers}
    Asker.objects.exclude(officer__in=list(askers)).delete()
    for officer, name in askers.items():
        values = {"name": name, "registry_version": registry.version}
        Asker.objects.update_or_create(officer=officer, defaults=values)


def _take_up_decoders(registry: Registry) -> None:
    decoders = {UUID(officer.id): officer.decoder_key.hex() for officer in registry.officers.values()}
    DecoderKey.objects.exclude(officer__in=[one for one, key in decoders.items() if key]).delete()
    for officer, key in decoders.items():
        if key:
            values = {"public_key": key, "registry_version": registry.version}
            DecoderKey.objects.update_or_create(officer=officer, defaults=values)


def _take_up_lanes(registry: Registry) -> None:
    Lane.objects.exclude(wallet__name__in=list(registry.lanes)).delete()
    site = registry.customers
    for name, found in registry.lanes.items():
        values: dict[str, object] = {
            column: getattr(found, column)
            for column in (
                *("transaction_units_max", "destination_units_max", "window_units_max"),
                *("window_s", "cooling_off_s", "attestation_age_s_max"),
            )
        }
        values |= {"rp_id": site.rp_id if site else "", "origin": site.origin if site else ""}
        Lane.objects.update_or_create(
            wallet=Wallet.objects.get(name=name),
            defaults={**values, "registry_version": registry.version},
        )


def _wallet(described: Described, registry: Registry, targets: Targets) -> Wallet:
    is_hot = described.name == "hot"
    row, _ = Wallet.objects.update_or_create(
        name=described.name,
        defaults={
            "tier": "hot" if is_hot else "cold",
            "network": described.network,
            "threshold": described.threshold,
            "tokens": list(described.tokens),
            "registry_version": registry.version,
            "order_life_s": int(registry.limits.order_life.total_seconds()),
            "fee_units_max": registry.limits.fee_sats_max,
            "feerate_max": registry.limits.feerate_sats_vb_max,
            "refill_below": targets.refill_below.units if is_hot else 0,
            "target": targets.target.units if is_hot else 0,
        },
    )
    # Whoever else loads a registry waits for the wallet's row, so nobody adds to its addresses meanwhile.
    here = dict(row.addresses.values_list("index", "witness_script"))
    fresh = []
    for index, keys in enumerate(described.keys):
        witness_script = described.witness_script(index).hex()
        if here.get(index, witness_script) != witness_script:
            raise WrongRegistry(f"Nothing was loaded: {row.name}/{index} is in use with other keys.")
        if index not in here:
            fresh.append(
                Address(
                    wallet=row,
                    index=index,
                    address=described.address(index),
                    script=described.output_script(index).hex(),
                    witness_script=witness_script,
                    keys=[key.hex() for key in keys],
                )
            )
    Address.objects.bulk_create(fresh)
    return row
