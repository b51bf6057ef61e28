"""A command of custody …"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core import clock
from core.audit.models import AuditEvent
from custody import actions, queries
from custody.models import Address, Wallet
from kernel import canonical
from tests.treasury import BTC, COLD, HOT, REGISTRY, ROBOT, Treasury, signatures

pytestmark = pytest.mark.django_db


@pytest.fixture
def registry_file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.json"
    path.write_bytes(canonical.encode(REGISTRY) + b"\n")
    return path


def test_loads_the_registry_and_says_what_it_found(registry_file: Path) -> None:
    said = io.StringIO()
    call_command("load_registry", registry=registry_file, refill_below="1", target="2", stdout=said)
    assert said.getvalue().splitlines() == [
        f"cold: 3 of 5, {COLD} addresses",
        f"hot: 2 of 3, {HOT} addresses",
    ]
    hot = Wallet.objects.get(name="hot")
    assert (hot.refill_below, hot.target) == (BTC, 2 * BTC)
    assert Address.objects.count() == HOT + COLD
    assert AuditEvent.objects.filter(doc__action="custody.registry.loaded").count() == 1


def test_says_in_the_log_what_the_registry_changes_here(registry_file: Path) -> None:
    """How much a refill fills up to stands on the command line alone, and in no registry's digest."""
    for target in ("2", "500", "500"):
        call_command(
            "load_registry", registry=registry_file, refill_below="1", target=target, stdout=io.StringIO()
        )
    events = AuditEvent.objects.filter(doc__action="custody.registry.loaded").order_by("pk")
    first, raised, again = (row.doc for row in events)
    assert first["after"]["wallets"]["cold"]["threshold"] == 3
    assert first["after"]["policies"]["custody.withdrawal"]["teams"]
    assert first["before"]["policies"] == {}
    told = [raised[side]["wallets"]["hot"]["target"] for side in ("before", "after")]
    assert [int(units) for units in told] == [2 * BTC, 500 * BTC]
    assert raised["before"].keys() == {"wallets"}
    assert again["before"] == {}
    assert again["after"]["digest"] == first["after"]["digest"]


@pytest.mark.parametrize("damage", ["missing", "cut", "targets"])
def test_loads_nothing_from_a_file_that_is_wrong(registry_file: Path, damage: str) -> None:
    if damage == "missing":
        registry_file.unlink()
    elif damage == "cut":
        registry_file.write_bytes(registry_file.read_bytes()[:-40])
    target = "0.5" if damage == "targets" else "2"
    with pytest.raises(CommandError, match=r"registry\.json"):
        call_command("load_registry", registry=registry_file, refill_below="1", target=target)
    assert not Wallet.objects.exists()


def test_loads_no_older_registry_over_a_newer_one(tmp_path: Path) -> None:
    files = []
    for version in (1, 2):
        path = tmp_path / f"registry-{version}.json"
        path.write_bytes(canonical.encode({**REGISTRY, "version": version}))
        files.append(path)
    for path in (files[1], files[1]):
        call_command("load_registry", registry=path, stdout=io.StringIO())
    with pytest.raises(CommandError, match="the file is version 1, and version 2 is loaded here"):
        call_command("load_registry", registry=files[0])
    assert queries.loaded_registry() == 2


def test_carries_a_bundle_out_and_signatures_in(tmp_path: Path) -> None:
    now = clock.now()
    treasury = Treasury.open(now, refill_below=2 * BTC, target=3 * BTC)
    treasury.fund("cold", 100 * BTC)
    row = treasury.refill_requested()
    said, bundle = io.StringIO(), tmp_path / "bundle.json"
    with pytest.raises(CommandError, match="the refill is requested"):
        call_command("export_bundle", row.pk, out=bundle)
    treasury.sign_off(row)
    payment = treasury.built(queries.refill(row.pk))
    call_command("export_bundle", row.pk, out=bundle, stdout=said)
    request = canonical.decode_object(bundle.read_bytes().removesuffix(b"\n"))
    assert str(request["sha256"]) in said.getvalue()
    answer: dict[str, Any] = {"v": 1, "type": "signed", "token": "cold-2", "txid": payment.txid}
    partial = tmp_path / "partial.json"
    partial.write_bytes(canonical.encode(answer | {"signatures": signatures(payment.psbt, "cold-2")}))
    call_command("import_signatures", row.pk, partial, stdout=said)
    assert "1 of 3 tokens have signed" in said.getvalue()
    partial.write_bytes(b"{}")
    with pytest.raises(CommandError, match=r"partial\.json"):
        call_command("import_signatures", row.pk, partial)
    actions.lapse_refill(refill_id=row.pk, actor=ROBOT, now=now)
