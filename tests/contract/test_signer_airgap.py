"""The cold signers, which have no socket …"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.audit.programs.account import Account
from custody.signer.airgap import BadBundle, bundle, describe, open_bundle
from kernel import canonical, note
from kernel.approval import Verb
from kernel.intent import REFILL, WITHDRAWAL
from kernel.money import Amount
from kernel.psbt import Psbt
from tests import messages
from tests import vault as vaults
from tests.contract.test_signer_spends import accepted_by_bitcoin_core
from tests.messages import coin, order, refill, request, withdrawal
from tests.vault import DOT, Message, Vault

COLD = ("cold-1", "cold-2", "cold-3", "cold-4", "cold-5")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.build(tmp_path_factory.mktemp("vault"), hot=2, cold=2)


def arguments(vault: Vault, token: str, source: Path, out: Path) -> list[str]:
    command = ["--token", token, "--registry", str(vault.registry_file), "--module", vaults.MODULE]
    command += ["--state", str(vault.folder / token / "state")]
    return [*command, "--in", str(source), "--out", str(out)]


def sign(
    vault: Vault, token: str, message: Message, folder: Path, *, data: bytes | None = None
) -> tuple[subprocess.CompletedProcess[str], Path]:
    source, out = folder / f"{token}.bundle.json", folder / f"{token}.partial.json"
    source.write_bytes(data or bundle(message))
    done = vaults.run(
        vault.folder / token, "custody.signer.airgap", "sign", *arguments(vault, token, source, out)
    )
    return done, out


@pytest.mark.parametrize("quorum", [("cold-1", "cold-3", "cold-5"), ("cold-4", "cold-2", "cold-3")])
def test_sign_a_refill_three_of_five(vault: Vault, tmp_path: Path, quorum: tuple[str, ...]) -> None:
    registry = vault.registry
    coins = [coin(registry, "cold", index, 80_000_000) for index in (1, 0)]
    message = request(registry, [refill(registry)], coins=coins)
    psbt = Psbt.parse_base64(message["psbt"])
    for token in quorum:
        done, out = sign(vault, token, message, tmp_path)
        assert done.returncode == 0, done.stderr
        psbt = psbt.with_signatures(messages.signatures(json.loads(out.read_bytes())))
    assert accepted_by_bitcoin_core(psbt.finalised(), [psbt.coin(index) for index in range(2)])


def test_say_in_plain_words_what_they_sign(vault: Vault, tmp_path: Path) -> None:
    registry = vault.registry
    message = request(registry, [refill(registry)], coins=[coin(registry, "cold", 1, 300_000_000)])
    done, _ = sign(vault, "cold-1", message, tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0] == "Spend from wallet cold on regtest, deployment countersign-test"
    assert f"  out  1 BTC  to {registry.wallets['hot'].address(0)}" in lines
    assert f"  out  1.99998 BTC  to {registry.wallets['cold'].address(0)}  (change)" in lines
    assert "  fee  0.00002 BTC" in lines
    assert "  approve: Ben" in lines
    assert f"SHA-256 {hashlib.sha256(canonical.encode(message)).hexdigest()}" in lines
    # Beside its lines it leaves their head, so that they can be carried to an auditor.
    key = note.Verifier.parse(next(line for line in lines if line.startswith("Log ")).removeprefix("Log "))
    account, told = Account(), list[str]()
    account.tell = lambda line: told.append(str(line))
    head = account.read_carried(key, vault.folder / "cold-1" / "state", witnesses=())
    assert (head.origin, head.size) == ("countersign-test/signer/cold-1", len(told))
    assert told[-1].endswith(f" signed {Psbt.parse_base64(message['psbt']).transaction.txid} out of cold")


def test_refuse_a_refill_to_anywhere_but_the_hot_wallet(vault: Vault, tmp_path: Path) -> None:
    registry = vault.registry
    elsewhere = refill(registry, destination=messages.DESTINATION)
    for intent, code in (
        (elsewhere, "SIGNER_WRONG_DESTINATION"),
        (withdrawal(source="cold"), "SIGNER_WRONG_SOURCE"),
    ):
        message = request(registry, [intent], coins=[coin(registry, "cold", 1, 300_000_000)])
        done, out = sign(vault, "cold-2", message, tmp_path)
        assert (done.returncode, out.exists()) == (1, False)
        assert f"NOT SIGNED {code}" in done.stderr


def test_refuse_to_sign_for_a_wallet_that_they_hold_no_key_of(vault: Vault, tmp_path: Path) -> None:
    done, out = sign(vault, "cold-2", request(vault.registry, [withdrawal()]), tmp_path)
    assert (done.returncode, out.exists()) == (1, False)
    assert "NOT SIGNED SIGNER_NOT_IN_WALLET" in done.stderr


def test_refuse_a_bundle_that_is_not_the_one_its_sum_names(vault: Vault, tmp_path: Path) -> None:
    registry = vault.registry
    coins = [coin(registry, "cold", 1, 300_000_000)]
    document = json.loads(bundle(request(registry, [refill(registry)], coins=coins)))
    other = request(registry, [refill(registry, amount=Amount(2, "BTC"))], coins=coins)
    document["request"] = other
    done, out = sign(vault, "cold-2", {}, tmp_path, data=canonical.encode(document))
    assert (done.returncode, out.exists()) == (1, False)
    assert "not the one that the SHA-256 names" in done.stderr


def test_sign_nothing_that_was_changed_on_the_stick_sum_included_nor_after_its_approval_ended(
    vault: Vault, tmp_path: Path
) -> None:
    """Whoever changes the file can make its sum fit; what officers signed inside, they cannot."""
    registry, intent = vault.registry, refill(vault.registry)
    coins = [coin(registry, "cold", 1, 300_000_000)]
    honest = request(registry, [intent], coins=coins)
    more = request(registry, [replace(intent, amount=Amount(200_000_000, "BTC"))], coins=coins)
    dear = request(registry, [intent], coins=coins, fee=5_001)
    late = refill(registry, expires=messages.in_hours(-1))
    for changed, code in (
        ({**honest, "psbt": more["psbt"]}, "SIGNER_OUTPUT_NOT_APPROVED"),
        ({**honest, "psbt": dear["psbt"]}, "SIGNER_FEE_ABOVE_CAP"),
        (request(registry, [late], coins=coins), "SIGNER_INTENT_EXPIRED"),
    ):
        done, out = sign(vault, "cold-2", changed, tmp_path)
        assert (done.returncode, out.exists()) == (1, False)
        assert f"NOT SIGNED {code}" in done.stderr


TRUE = bundle({}).replace(b'"v":1', b'"v":true')


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"request":{},"sha256":"","type":"bundle","v":2}', TRUE, b"\xff"]
)
def test_read_nothing_but_bundles(data: bytes) -> None:
    with pytest.raises(BadBundle):
        open_bundle(data)


def test_show_a_bundle_without_a_token(vault: Vault, tmp_path: Path) -> None:
    registry = vault.registry
    source = tmp_path / "bundle.json"
    source.write_bytes(bundle(request(registry, [withdrawal(destination_label="Tom\x1b[2J\u202e")])))
    shown = vaults.run(
        tmp_path, "custody.signer.airgap", "show", "--registry", str(vault.registry_file), "--in", str(source)
    )
    assert shown.returncode == 0
    assert "  pays 0.25 BTC to Tom?[2J?" in shown.stdout


def test_show_a_terminal_nothing_that_it_would_obey(vault: Vault, tmp_path: Path) -> None:
    """What nobody signed, or what is refused, is shown as well: whoever made the file chose it."""
    registry = vault.registry
    message = request(registry, [refill(registry)], coins=[coin(registry, "cold", 1, 300_000_000)])
    message["intents"][0]["approvals"][0]["officer"] = "\x1b[2J"
    done, _ = sign(vault, "cold-2", message, tmp_path)
    assert "UNKNOWN ?[2J" in done.stdout
    assert "NOT SIGNED SIGNER_UNKNOWN_OFFICER: ?[2J is not pinned" in done.stderr
    shown = "\n".join(describe({**message, "wallet": "cold\x1b[2J\n  fee  0 BTC"}, registry))
    assert shown.startswith("Spend from wallet cold?[2J?  fee  0 BTC on regtest")
    assert "\x1b" not in done.stdout + done.stderr + shown


@pytest.mark.parametrize("right", [True, False])
def test_ask_a_person_at_a_terminal_to_compare_the_sum(vault: Vault, tmp_path: Path, right: bool) -> None:
    registry = vault.registry
    message = request(registry, [refill(registry)], coins=[coin(registry, "cold", 1, 300_000_000)])
    source, out = tmp_path / "bundle.json", tmp_path / "partial.json"
    source.write_bytes(bundle(message))
    sha256 = hashlib.sha256(canonical.encode(message)).hexdigest()
    leader, follower = pty.openpty()
    command = [str(vaults.TRUSTED_PYTHON), "-m", "custody.signer.airgap", "sign"]
    process = subprocess.Popen(
        [*command, *arguments(vault, "cold-5", source, out)],
        env=vaults.environment(vault.folder / "cold-5"),
        cwd=vaults.ROOT,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    screen = _until(leader, b"PIN: ")
    os.write(leader, vaults.PIN.encode() + b"\n")
    screen += _until(leader, b"other side's SHA-256: ")
    os.write(leader, (sha256[:8] if right else "00000000").encode() + b"\n")
    assert process.wait(120) == (0 if right else 1)
    os.close(leader)
    assert out.exists() is right
    assert vaults.PIN.encode() not in screen


def _until(descriptor: int, prompt: bytes) -> bytes:
    seen = b""
    while not seen.endswith(prompt):
        # A person would wait for ever for words that do not come; a test tells what came instead.
        assert select.select([descriptor], [], [], 120)[0], seen
        seen += os.read(descriptor, 4096)
    return seen


def test_share_one_memory_with_the_socket(vault: Vault, tmp_path: Path) -> None:
    """An intent that the air gap signed is not signed over other coins later, whoever asks."""
    registry = vault.registry
    intent = refill(registry)
    first = request(registry, [intent], coins=[coin(registry, "cold", 1, 300_000_000)])
    assert sign(vault, "cold-4", first, tmp_path)[0].returncode == 0
    second = request(registry, [intent], coins=[coin(registry, "cold", 1, 300_000_000)])
    signer = vault.start("cold-4").ready()
    assert signer.ask(second)["code"] == "SIGNER_REPLAY"
    assert signer.ask(request(registry, [intent], coins=[coin(registry, "cold", 1, 300_000_000)]))[
        "type"
    ] == ("refused")
    signer.stop()


def test_start_with_the_right_pin_only_and_say_why_not(vault: Vault, tmp_path: Path) -> None:
    message = request(
        vault.registry, [refill(vault.registry)], coins=[coin(vault.registry, "cold", 1, 3 * 10**8)]
    )
    source, out = tmp_path / "bundle.json", tmp_path / "partial.json"
    source.write_bytes(bundle(message))
    for typed, why in (("0000\n", "PinIncorrect"), ("", "standard input"), ("\n", "standard input")):
        done = vaults.run(
            vault.folder / "cold-3",
            "custody.signer.airgap",
            "sign",
            *arguments(vault, "cold-3", source, out),
            typed=typed,
        )
        assert (done.returncode, out.exists()) == (1, False)
        assert why in done.stderr
        assert "Traceback" not in done.stderr


def test_take_up_the_next_registry_at_the_start_since_nobody_can_tell_them_of_a_veto_meanwhile(
    tmp_path: Path,
) -> None:
    vault = Vault.build(tmp_path, cold=1, wallets=["cold"])
    vault.document["policies"].pop(WITHDRAWAL)
    vault.document["policies"].pop(REFILL)
    vault.document["policies"]["signer.registry"] = {"teams": {"treasury": 2}, "source": "cold"}
    vault.document["limits"]["registry_delay_s"] = 1
    vault.registry_file.write_bytes(canonical.encode(vault.document))

    def given(message: Message) -> None:
        source, out = tmp_path / "order.json", tmp_path / "said.json"
        source.write_bytes(canonical.encode(message))
        command = ["custody.signer.airgap", "order", *arguments(vault, "cold-1", source, out)]
        done = vaults.run(vault.folder / "cold-1", *command)
        assert done.returncode == 0, done.stderr

    vault.document["version"] = 2
    new = vault.registry
    given(order("signer.registry", version=2, digest=new.digest.hex(), keys=list(new.keys)))
    time.sleep(1.1)
    vault.registry_file.write_bytes(new.encoded)
    given(order("signer.freeze", wallet="*", officers=[DOT], verb=Verb.APPROVE))
    journal = (vault.folder / "cold-1/state/journal.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["event"] for line in journal] == ["genesis", "announced", "registry", "frozen"]
