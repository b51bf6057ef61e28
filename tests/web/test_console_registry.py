"""A new registry goes …"""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from core import clock
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from custody import queries
from custody.models import SignerOrder
from custody.signer import registry as program
from fixtures.authenticator import Authenticator
from kernel import canonical, registration
from kernel.registry import Registry
from tests.doors import at_console
from tests.exchange import Exchange
from tests.officers import Officer
from tests.signers import HOT, TreasuryToken, lane_registry
from tests.softtoken import Desk

DELAY = timedelta(hours=1)
RIA = "01900000-0000-7000-8000-0000000000e5"


def in_force(exchange: Exchange) -> Registry:
    """The staff's registry, with a lane and an hour for a veto."""
    document = json.loads(lane_registry(exchange.staff).encoded)
    document["limits"]["registry_delay_s"] = int(DELAY.total_seconds())
    return Registry.parse(canonical.encode(document))


def released(request: ApprovalRequest, maker: Officer, *officers: Officer) -> None:
    """They sign it on the approver page, each with their passkey: its maker first, that they ask."""
    maker.asks(request, clock.now())
    for one in officers:
        submit_signature(
            request_id=request.pk, signed=one.answer(request, "release"), actor=one.actor, now=clock.now()
        )


def test_from_a_draft_through_officers_hands_to_signers_that_have_waited(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    staff, old = exchange.staff, in_force(exchange)
    desks = [
        Desk(tmp_path / token, registry=old, token=TreasuryToken(token), now=clock.now().timestamp())
        for token in HOT
    ]
    # Whoever keeps the file drafts the next version on a machine of their own.
    (tmp_path / "registry.json").write_bytes(old.encoded + b"\n")
    key = Authenticator("55" * 32).public_key_hex
    paper = registration.fingerprint(bytes.fromhex(key))
    drafted = f"draft {tmp_path}/registry.json --follows {old.digest.hex()} --out {tmp_path}/next.json"
    drafted += f" --add-officer {RIA} 'Ria Roth' treasury {key} {paper} --set-lane hot/cooling_off_s 9d"
    assert program.main(shlex.split(drafted)) == 0
    said = capsys.readouterr().out
    data = (tmp_path / "next.json").read_bytes()
    new = Registry.parse(data)

    # The console asks a quorum; what they sign is what the draft said.
    client: Any = at_console(staff.ana.identity)
    given = {"registry": SimpleUploadedFile("next.json", data), "reason": "Ria joins"}
    assert client.post("/treasury/signers/registry", given).status_code == 302
    row = SignerOrder.objects.get(kind="signer.registry", maker=staff.ana.identity)
    payload = canonical.decode_object(bytes(row.payload))
    assert f"Registry's digest: {payload['digest']}" in said
    assert f"{paper} Ria Roth" in json.loads(bytes(row.payload))["keys"]
    assert row.request is not None
    released(row.request, staff.ana, staff.ben, staff.cy)

    # Each signer announces it, takes it up after its delay, and no sooner.
    order = dict(queries.order_message(queries.signer_order(row.pk)))
    assert [desk.code(order) for desk in desks] == ["obeyed"] * 3
    for desk in desks:
        desk.now += DELAY.total_seconds() - 1
        assert desk.restart(registry=new).health["state"] == "SIGNER_REGISTRY_CHANGED"
        desk.now += 1
        assert desk.restart().listen().health["registry"] == {"version": 2, "digest": new.digest.hex()}
        assert desk.health["state"] == "ready"
        desk.signer.close()


def test_nowhere_where_its_quorum_is_not_whole(exchange: Exchange, tmp_path: Path) -> None:
    staff, old = exchange.staff, in_force(exchange)
    desk = Desk(tmp_path / "hot-1", registry=old, token=TreasuryToken("hot-1"), now=clock.now().timestamp())
    document = {**json.loads(old.encoded), "version": 2}
    client: Any = at_console(staff.ana.identity)
    file = SimpleUploadedFile("next.json", canonical.encode(document))
    client.post("/treasury/signers/registry", {"registry": file, "reason": "nothing"})
    row = SignerOrder.objects.get(kind="signer.registry", maker=staff.ana.identity)
    assert row.request is not None
    released(row.request, staff.ana, staff.ben)
    order = dict(queries.order_message(queries.signer_order(row.pk)))
    assert desk.code(order) == "SIGNER_BELOW_QUORUM"
    desk.signer.close()
