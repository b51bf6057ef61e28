"""Before there is a console, officers at the approver's host …"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from core.access.actions.founding import Passkey
from custody.signer import genesis, requests
from custody.signer.refusals import Refused
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.registry import DELAY_S_MIN, Registry
from tests.browser.conftest import Site, bare
from tests.browser.passkeys import plug_in
from tests.browser.test_ceremony import looked_at
from tests.signers import HOT, TreasuryToken
from tests.softtoken import Desk
from tests.treasury import KEYS, REGISTRY
from tests.vault import ANA, BEN, CY

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LEADER: Final = "01900000-0000-7000-8000-0000000000f0"
NAMES: Final = {ANA: "Ana Abel", BEN: "Ben Brandt", CY: "Cy Castro"}


def template(site: Site) -> dict[str, Any]:
    """The first registry without its keys, for real money."""
    return {
        **{name: value for name, value in REGISTRY.items() if name not in ("v", "version")},
        "network": "mainnet",
        "origin": site.approver,
        "officers": {one: {"name": name, "teams": ["treasury"]} for one, name in NAMES.items()},
        "wallets": {"hot": {"m": 2, "tokens": list(HOT)}},
        "policies": {"custody.withdrawal": REGISTRY["policies"]["custody.withdrawal"]},
        "limits": {
            **REGISTRY["limits"],
            "window_units_max": {"hot": "100"},
            "registry_delay_s": DELAY_S_MIN,
        },
    }


def records(folder: Path) -> list[str]:
    """What `provision` printed for each token."""
    safe = {"sensitive": True, "always_sensitive": True, "never_extractable": True, "local": True}
    return [
        written(
            folder / f"{token}.json",
            {
                "v": 1,
                "type": "provisioned",
                "token": token,
                "serial": "x",
                "public_keys": [key.public_key.hex() for key in KEYS[token]],
                "attributes": {**safe, "extractable": False, "modifiable": False},
            },
        )
        for token in HOT
    ]


def written(path: Path, document: Any) -> str:
    path.write_bytes(canonical.encode(document) + b"\n")
    return str(path)


def saved(page: Page, button: str, path: Path) -> str:
    """The file that this button saves."""
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return str(path)


def test_make_their_passkeys_and_order_the_first_registry(site: Site, visit: Any, tmp_path: Path) -> None:
    plan, links = written(tmp_path / "template.json", template(site)), tmp_path / "links.txt"
    assert genesis.main(["invite", "--template", plan, "--out", str(links)]) == 0
    invited = dict(line.split(": ", 1) for line in links.read_text().splitlines())

    pages: dict[str, Page] = {}
    build = ["build", "--template", plan, "--token", *records(tmp_path)]
    for officer, name in NAMES.items():
        page = pages[officer] = visit(None).page
        plug_in(page, Authenticator(), rp_id="console.localhost")  # it has a key, and none of this host
        page.goto(invited[name])
        expect(page.locator("h1#headline")).to_have_text(f"Make a signing passkey for {name}")
        page.click("#make")
        expect(page.locator("#made")).to_be_visible()
        expect(page.locator("#then-console")).to_be_hidden()
        looked_at(page, "register-founding")
        file = saved(page, "#hand-over", tmp_path / f"{officer[-2:]}.json")
        build += ["--passkey", file, bare(page, "#fingerprint")]
    registry = tmp_path / "first.json"
    staff = tmp_path / "passkeys.json"
    assert genesis.main([*build, "--out", str(registry), "--staff", str(staff)]) == 0
    first = Registry.parse(registry.read_bytes())
    keys = {one: [Passkey(**key) for key in found] for one, found in json.loads(staff.read_text()).items()}
    assert {one: found[0].public_key for one, found in keys.items()} == {
        one: officer.public_key.hex() for one, officer in first.officers.items()
    }

    payload, link = tmp_path / "payload.json", tmp_path / "link.txt"
    ordering = ["order", "--registry", str(registry), "--maker", LEADER, "--reason", "the founding"]
    assert genesis.main([*ordering, "--out", str(payload), "--link", str(link)]) == 0
    # The approver's host gets the file, too: its log then says whose signatures it saw.
    (site.folder / "registry.json").write_bytes(registry.read_bytes())
    approvals = []
    for officer, page in pages.items():
        page.goto(link.read_text().strip())
        expect(page.locator("#headline")).to_have_text("Let the signers take up registry 1")
        assert first.digest.hex() in bare(page, "#lines")
        page.check("#verb-approve")
        page.click("#sign")
        expect(page.locator("#signed")).to_be_visible()
        looked_at(page, "sign-founding")
        approvals.append(saved(page, "#save", tmp_path / f"approval-{officer[-2:]}.json"))
    log = (site.folder / "signatures.jsonl").read_text().splitlines()
    assert [json.loads(line)["officer"] for line in log] == [ANA, BEN, CY]

    order = tmp_path / "order.json"
    collect = ["collect", "--registry", str(registry), "--payload", str(payload), "--out", str(order)]
    assert genesis.main([*collect, "--approval", approvals[0]]) == 1
    assert genesis.main([*collect, "--approval", *approvals]) == 0
    given = requests.order(canonical.decode_object(order.read_bytes().removesuffix(b"\n")))
    token = TreasuryToken("hot-1")
    with pytest.raises(Refused, match="SIGNER_GENESIS_UNSIGNED"):
        Desk(tmp_path / "without", registry=first, token=token)
    desk = Desk(tmp_path / "hot-1", registry=first, token=token, order=given)
    assert desk.health["state"] == "ready"


def test_save_nothing_else_to_a_file(site: Site, visit: Any) -> None:
    """A link of somebody else's making could have an officer sign, and keep the answer from the console."""
    ana = {"name": "Ana Abel", "teams": ["treasury"], "public_key": Authenticator().public_key_hex}
    document = {**REGISTRY, "version": 2, "origin": site.approver, "officers": {ANA: ana}}
    later = Registry.parse(canonical.encode(document))
    expires = datetime(2099, 1, 1, tzinfo=UTC)
    payload = genesis.order_payload(later, maker=LEADER, reason="x", expires=expires)
    page = visit(None).page
    page.goto(genesis.link(later, payload))
    expect(page.locator("#refusal-sentence")).to_contain_text("did not come from this deployment’s console")
    expect(page.locator("#act")).to_be_hidden()
