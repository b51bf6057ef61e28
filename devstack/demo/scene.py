"""Everybody and everything in the journey, each reached as the outside world reaches it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from custody.adapters.bitcoin import BitcoinNode
from devstack import auditor, tokens
from devstack.demo.desk import Desk
from devstack.demo.officer import Officer
from devstack.demo.outside import Outsider
from devstack.demo.story import StepFailed, Story
from devstack.demo.trader import Trader
from devstack.stack import Stack
from fixtures.authenticator import Authenticator
from kernel import script
from kernel.money import Amount
from kernel.registry import Registry

COLD_FUNDS = Amount.parse("14.5", "BTC")


class Provider:
    """The identity provider's own side: its reviewers, and its courier."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=20)

    def applicant(self, external_user_id: str) -> dict[str, Any] | None:
        """The applicant that carries our id for the customer, once the provider knows it."""
        rows: list[dict[str, Any]] = self._http.get("/_standin/applicants").json()
        return next((row for row in rows if row["externalUserId"] == external_user_id), None)

    def finish_quietly(self, applicant: str) -> tuple[int, int]:
        """Reviewers say GREEN, the courier waits: the numbers of the pending and the reviewed webhook."""
        path = f"/_standin/applicants/{applicant}/complete"
        made = self._http.post(path, json={"deliver": False}).json()
        pending, reviewed = made["deliveries"]
        return pending, reviewed

    def send(self, delivery: int, *, tamper: str = "") -> list[Any]:
        """Send a delivery's bytes once more, perhaps altered; how the hooks door answered."""
        sent = self._http.post(f"/_standin/deliveries/{delivery}/send", json={"tamper": tamper}).json()
        answers: list[Any] = sent["answers"]
        return answers


@dataclass
class Scene:
    """The people, the outside world, and what they have done so far.

    `elsewhere` is one of the officers, signed in anew on a device of which the edge says this from now on.
    """

    stack: Stack
    tom: Trader
    tia: Trader
    ana: Desk
    ben: Officer
    cy: Officer
    elsewhere: Callable[..., Officer]
    sumsub: Provider
    outside: Outsider
    node: BitcoinNode
    home_address: str
    savings_address: str
    withdrawal: str = ""
    approval: str = ""

    @classmethod
    def on(cls, stack: Stack) -> Scene:
        """The scene over a running stack."""
        values = stack.environment.values
        address = values["ACCESS_TEAM_URL"]
        keys = json.loads((stack.environment.layout.secrets / "passkeys.json").read_text())
        console_keys = json.loads((stack.environment.layout.secrets / "console-keys.json").read_text())

        def officer(kind: type[Officer], email: str) -> Any:
            return kind(
                email,
                address=address,
                console_origin=values["CONSOLE_ORIGIN"],
                approver_origin=values["APPROVER_ORIGIN"],
                rp_id=values["APPROVER_RP_ID"],
                private_key=keys[email],
                console_key=console_keys[email],
            )

        def elsewhere(who: Officer, **device: str) -> Officer:
            said = {"email": who.email, **device}
            httpx.post(f"{address}/cdn-cgi/access/standin/posture", json=said, timeout=10).raise_for_status()
            return cast("Officer", officer(Officer, who.email))

        node = BitcoinNode(values["BITCOIN_RPC_URL"])
        return cls(
            stack=stack,
            tom=Trader("Tom", address=address, origin=values["API_ORIGIN"]),
            tia=Trader("Tia", address=address, origin=values["API_ORIGIN"]),
            ana=officer(Desk, "ana@countersign.example"),
            ben=officer(Officer, "ben@countersign.example"),
            cy=officer(Officer, "cy@countersign.example"),
            elsewhere=elsewhere,
            sumsub=Provider(values["SUMSUB_URL"]),
            outside=Outsider(node),
            node=node,
            home_address=Outsider.fresh_address(),
            savings_address=Outsider.fresh_address(),
        )

    @property
    def safe_key(self) -> Authenticator:
        """The sealed key that lies in the first safe."""
        keys = json.loads((self.stack.environment.layout.secrets / "sealed-keys.json").read_text())
        return Authenticator(keys["safe 1"])

    def alerts(self) -> list[dict[str, Any]]:
        """What the stand-in for whoever watches has taken."""
        address = f"http://127.0.0.1:{self.stack.environment.alerts_port}/_standin/alerts"
        found: list[dict[str, Any]] = httpx.get(address, timeout=10).json()["alerts"]
        return found

    def fund_cold(self, story: Story) -> None:
        """Somebody outside fills the cold wallet; the address is read from the signed registry."""
        address = self.registry.wallets["cold"].address(0)
        txid = self.outside.pay(address, COLD_FUNDS.units)
        story.proof("cold wallet (P2WSH, 3 of 5 HSM keys)", address)
        story.proof("funded by", txid)
        self.outside.mine(3)

    @property
    def registry(self) -> Registry:
        """What the signers pin."""
        return Registry.parse(self.stack.environment.layout.registry.read_bytes())

    def approve(self, story: Story, request: str, *officers: Officer) -> None:
        """Each officer signs; the digest is shown, since it is what they sign."""
        for officer in officers:
            answer, statement = officer.sign(request)
            name = officer.email.split("@")[0].title()
            story.expect(
                answer.status_code < 400, f"{name} signs", found=(answer.status_code, answer.text[-400:])
            )
            story.proof("verb, kind", f"{statement.verb} {statement.kind}")
            story.proof("digest", statement.digest.hex())
            story.proof("nonce", statement.nonce.hex())

    def books_are_sound(self) -> bool:
        """The ledger's invariants, and the ledger against the engine."""
        ledger = self.stack.manage("verify_ledger")
        engine = self.stack.manage("compare_books")
        if ledger.returncode or engine.returncode:
            raise StepFailed(ledger.stdout + ledger.stderr + engine.stdout + engine.stderr)
        return True

    def chain_paid(self, txid: str, address: str, amount: Amount) -> bool:
        """Whether the confirmed transaction has exactly one output to the address, of exactly the amount."""
        found = self.node.transaction(txid)
        if found is None or found.confirmations < 1:
            return False
        paid = [row.amount for row in found.outputs if row.script == script.script_of(address, "regtest")]
        return paid == [amount]

    def sign_cold(self, token: str, bundle: bytes) -> bytes:
        """Carry the bundle to a cold signer as a file, and its partial signatures back. It has no socket."""
        environment = self.stack.environment
        account = self.stack.accounts.of(f"cs-{token}")
        desk = environment.layout.signer_state(token) / "airgap"
        account.own(desk, mode=0o700)
        source, target = desk / "bundle.json", desk / "partial.json"
        source.write_bytes(bundle)
        account.own_file(source, mode=0o400)
        target.unlink(missing_ok=True)
        done = self._cold(token, source, target)
        if done.returncode:
            raise StepFailed(f"{token}: {done.stdout}{done.stderr}")
        (key,) = re.findall(r"^Log (\S+)$", done.stdout, re.MULTILINE)
        auditor.note_cold(environment.layout, key)
        return target.read_bytes()

    def _cold(self, token: str, source: Path, target: Path) -> subprocess.CompletedProcess[str]:
        environment = self.stack.environment
        return self.stack.run_as(
            f"cs-{token}",
            *(str(tokens.TRUSTED_PYTHON), "-m", "custody.signer.airgap", "sign", "--token", token),
            *("--registry", str(environment.layout.registry)),
            *("--state", str(environment.layout.signer_state(token))),
            *("--module", environment.module, "--in", str(source), "--out", str(target)),
            secret=environment.secrets.pin(token) + "\n",
        )
