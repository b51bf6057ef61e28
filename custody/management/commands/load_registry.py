from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.operators import operator
from core.refusals import Refused
from custody import actions
from custody.adapters import judge
from custody.domain.wallets import BadTargets, Targets
from kernel.canonical import NotCanonical
from kernel.money import Amount, MoneyError
from kernel.registry import BadRegistry, Registry


class Command(BaseCommand):
    help = "Bring wallets, addresses and quorums to where the registry file says they are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--registry", type=Path, default=settings.REGISTRY_FILE)
        parser.add_argument(
            "--refill-below", default="0.15", help="BTC in the hot wallet that call for a refill"
        )
        parser.add_argument("--target", default="0.5", help="BTC that a refill fills the hot wallet up to")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            registry = Registry.parse(options["registry"].read_bytes())
            targets = Targets(
                Amount.parse(options["refill_below"], "BTC"), Amount.parse(options["target"], "BTC")
            )
            check_addresses(registry)
            wallets = actions.load_registry(
                registry=registry, targets=targets, actor=operator("load-registry"), now=clock.now()
            )
        except (OSError, BadRegistry, NotCanonical, BadTargets, MoneyError, Refused) as error:
            raise CommandError(f"{options['registry']}: {error}") from error
        for wallet in wallets:
            shape = f"{wallet.threshold} of {len(wallet.tokens)}"
            self.stdout.write(f"{wallet.name}: {shape}, {wallet.addresses.count()} addresses")
        for safe in registry.safes.values():
            self.stdout.write(f"{safe.name}: a Safe; signers sign for it, nothing here pays out of it yet")


def check_addresses(registry: Registry) -> None:
    """Every address by two libraries; CommandError where they differ, because coins sent there could be
    lost.
    """
    for wallet in registry.wallets.values():
        for index in range(len(wallet.keys)):
            theirs = judge.address_of(wallet.threshold, wallet.keys[index], registry.network)
            if wallet.address(index) != theirs:
                raise CommandError(f"{wallet.name}/{index}: {wallet.address(index)} here, {theirs} by bdk")
