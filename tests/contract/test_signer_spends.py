"""The signers of the hot wallet …

They run as in production: one program per token, in the trusted environment, behind unix sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from kernel import canonical, frames, merkle
from kernel.approval import Verb
from kernel.money import Amount
from kernel.note import Checkpoint, Verifier, open_note
from kernel.psbt import Psbt
from kernel.registry import Registry
from kernel.transaction import Output, Transaction
from tests import messages
from tests import vault as vaults
from tests.messages import coin, request, withdrawal
from tests.tampering import TAMPERED, Tamper
from tests.vault import Message, SignerProcess, Vault

TOKENS = ("hot-1", "hot-2", "hot-3")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.build(tmp_path_factory.mktemp("vault"), wallets=["hot"])


@pytest.fixture(scope="module")
def signers(vault: Vault) -> Iterator[dict[str, SignerProcess]]:
    running = {token: vault.start(token) for token in TOKENS}
    for signer in running.values():
        signer.ready()
    yield running
    for signer in running.values():
        signer.stop()


@pytest.fixture(scope="module")
def registry(vault: Vault) -> Registry:
    return vault.registry


def sign_with(signers: dict[str, SignerProcess], message: Message, *tokens: str) -> Transaction:
    psbt = Psbt.parse_base64(message["psbt"])
    for token in tokens:
        psbt = psbt.with_signatures(messages.signatures(signers[token].ask(message)))
    return psbt.finalised()


def accepted_by_bitcoin_core(transaction: Transaction, coins: list[Output]) -> bool:
    import pbk
    from pbk.script import PrecomputedTransactionData

    spending = pbk.Transaction(transaction.encoded())
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(one.script), one.sats) for one in coins]
    shared = PrecomputedTransactionData(spending, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    return len(coins) == len(transaction.inputs) and all(
        pbk.ScriptPubkey(one.script).verify(one.sats, spending, shared, index, flags)
        for index, one in enumerate(coins)
    )


@pytest.mark.parametrize("quorum", [("hot-1", "hot-2"), ("hot-3", "hot-1"), ("hot-2", "hot-3")])
def test_sign_an_approved_withdrawal_two_of_three(
    signers: dict[str, SignerProcess], registry: Registry, quorum: tuple[str, str]
) -> None:
    coins = [coin(registry, "hot", index, 20_000_000) for index in (1, 2, 3, 0)]
    message = request(registry, [withdrawal()], coins=coins, fee=4_000)
    transaction = sign_with(signers, message, *quorum)
    psbt = Psbt.parse_base64(message["psbt"])
    assert accepted_by_bitcoin_core(transaction, [psbt.coin(index) for index in range(4)])


def test_make_a_spend_that_bdk_finalises_too(signers: dict[str, SignerProcess], registry: Registry) -> None:
    import bdkpython as bdk

    message = request(registry, [withdrawal()])
    psbt = Psbt.parse_base64(message["psbt"])
    for token in ("hot-1", "hot-2"):
        psbt = psbt.with_signatures(messages.signatures(signers[token].ask(message)))
    finished = bdk.Psbt(psbt.base64()).finalize()
    assert finished.could_finalize
    assert bytes(finished.psbt.extract_tx().serialize()) == psbt.finalised().encoded()


def test_answer_the_same_request_again_without_counting_it_twice(
    signers: dict[str, SignerProcess], registry: Registry
) -> None:
    message = request(registry, [withdrawal()])
    first = sign_with(signers, message, "hot-1", "hot-2")
    used = signers["hot-1"].ask({"v": 1, "type": "health"})["used"]
    again = sign_with(signers, message, "hot-1", "hot-2")
    assert again.txid == first.txid
    assert signers["hot-1"].ask({"v": 1, "type": "health"})["used"] == used


def test_raise_the_fee_of_an_intent_over_the_same_coins(
    signers: dict[str, SignerProcess], registry: Registry
) -> None:
    intent, mine = withdrawal(), coin(registry, "hot", 1, 90_000_000)
    slow = sign_with(signers, request(registry, [intent], coins=[mine], fee=1_000), "hot-1", "hot-2")
    more = [mine, coin(registry, "hot", 2, 1_000_000)]
    fast = sign_with(signers, request(registry, [intent], coins=more, fee=4_500), "hot-1", "hot-2")
    assert {spent.outpoint for spent in slow.inputs} & {spent.outpoint for spent in fast.inputs}
    assert fast.txid != slow.txid


@pytest.mark.parametrize(
    ("code", "tamper"), [case[1:] for case in TAMPERED], ids=[case[0] for case in TAMPERED]
)
def test_refuse_a_request_that_was_tampered_with(
    signers: dict[str, SignerProcess], registry: Registry, code: str, tamper: Tamper
) -> None:
    answer = signers["hot-1"].ask(tamper(registry))
    assert (answer["type"], answer.get("code")) == ("refused", code), answer
    assert "signatures" not in answer


def test_refuse_an_intent_again_over_other_coins(
    signers: dict[str, SignerProcess], registry: Registry
) -> None:
    intent = withdrawal()
    first = request(registry, [intent], coins=[coin(registry, "hot", 1, 90_000_000)])
    assert signers["hot-1"].ask(first)["type"] == "signed"
    second = request(registry, [intent], coins=[coin(registry, "hot", 1, 90_000_000)])
    assert signers["hot-1"].ask(second)["code"] == "SIGNER_REPLAY"
    # Nor under a new payload and fresh approvals: the withdrawal is the same.
    renewed = replace(intent, expires=messages.in_hours(2), amount=Amount(24_000_000, "BTC"))
    assert signers["hot-1"].ask(request(registry, [renewed]))["code"] == "SIGNER_REPLAY"
    # Nor hidden among others.
    together = request(registry, [withdrawal(), intent])
    assert signers["hot-1"].ask(together)["code"] == "SIGNER_NO_INTENT"


def test_refuse_versions_of_an_intent_that_could_confirm_beside_each_other(
    signers: dict[str, SignerProcess], registry: Registry
) -> None:
    intent = withdrawal()
    one, other = (coin(registry, "hot", index, 90_000_000) for index in (1, 2))
    assert signers["hot-1"].ask(request(registry, [intent], coins=[one, other]))["type"] == "signed"
    assert signers["hot-1"].ask(request(registry, [intent], coins=[one]))["type"] == "signed"
    # It shares a coin with the first version, but not with the second.
    assert signers["hot-1"].ask(request(registry, [intent], coins=[other]))["code"] == "SIGNER_REPLAY"


def test_write_every_answer_into_their_own_chained_journal(
    vault: Vault, signers: dict[str, SignerProcess], registry: Registry
) -> None:
    intent = withdrawal()
    signers["hot-2"].ask(request(registry, [intent]))
    signers["hot-2"].ask(request(registry, [intent], fee=5_001))
    lines = (vault.folder / "hot-2" / "state" / "journal.jsonl").read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["event"] for entry in entries[-3:]] == ["spend", "signed", "refused"]
    assert list(entries[-3]["details"]["intents"]) == [f"custody.withdrawal/{intent.reference}"]
    slot = f"{intent.destination}/{intent.amount.units}/{intent.mark}"
    assert entries[-3]["details"]["slot"] == slot
    assert entries[-1]["details"]["code"] == "SIGNER_FEE_ABOVE_CAP"
    assert [entry["n"] for entry in entries] == list(range(len(entries)))
    state = vault.folder / "hot-2" / "state"
    assert [path.stat().st_mode & 0o077 for path in (state, state / "journal.jsonl")] == [0, 0]


def test_say_how_they_are(signers: dict[str, SignerProcess], registry: Registry) -> None:
    answer = signers["hot-3"].ask({"v": 1, "type": "health"})
    assert (answer["type"], answer["token"], answer["state"]) == ("health", "hot-3", "ready")
    assert answer["registry"] == {"version": 1, "digest": registry.digest.hex()}


def test_sign_the_heads_of_their_logs_inside_the_token(signers: dict[str, SignerProcess]) -> None:
    signer = signers["hot-2"]
    first = signer.ask({"v": 1, "type": "log_head"})
    signer.ask({"v": 1, "type": "nothing"})
    second = signer.ask({"v": 1, "type": "log_head"})
    assert first["key"] == second["key"]
    verifier = Verifier.parse(first["key"])
    assert verifier.name == "countersign-test/signer/hot-2"
    old, new = (Checkpoint.parse(open_note(one["note"], by=verifier)) for one in (first, second))
    assert new.size == old.size + 1
    proof = signer.ask({"v": 1, "type": "log_proof", "old": old.size, "size": new.size})["hashes"]
    hashes = [bytes.fromhex(item) for item in proof]
    merkle.verify_consistency(hashes, size=old.size, root=old.root, new_size=new.size, new_root=new.root)
    lines: list[str] = []
    while len(lines) < new.size:
        lines += signer.ask({"v": 1, "type": "log_entries", "start": len(lines), "end": new.size})["lines"]
    assert merkle.root(merkle.leaf(line.encode()) for line in lines) == new.root


def test_hang_up_on_garbage_and_go_on(signers: dict[str, SignerProcess]) -> None:
    for garbage in (
        b"\x00\x00\x00\x02{]",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x05{}",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(signers["hot-1"].path))
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(10) == b""
    assert signers["hot-1"].ask({"v": 1, "type": "health"})["state"] == "ready"


def test_answer_several_messages_on_one_connection(signers: dict[str, SignerProcess]) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(signers["hot-1"].path))
        for _ in range(2):
            connection.sendall(frames.encode({"v": 1, "type": "health"}))
            header = vaults._exactly(connection, 4)
            assert b'"ready"' in vaults._exactly(connection, frames.body_length(header))


def test_let_their_operator_unlock_them_and_ask_for_nothing(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=2, wallets=["hot"])
    signer = vault.start("hot-1", uid=os.getuid() + 1).ready()
    assert signer.ask({"v": 1, "type": "health"})["state"] == "ready"
    assert signer.ask(request(vault.registry, [withdrawal()]))["code"] == "SIGNER_UNKNOWN_PEER"
    signer.stop()


def test_never_sign_for_a_wallet_that_is_not_theirs(
    signers: dict[str, SignerProcess], registry: Registry
) -> None:
    """A signer's own wallet is checked before anything that the request says about it."""
    message = {**request(registry, [withdrawal(customer=UUID(int=1))]), "wallet": "cold"}
    assert signers["hot-1"].ask(message)["code"] == "SIGNER_UNKNOWN_WALLET"


def test_are_asked_and_ordered_from_the_hosts_command_line(
    vault: Vault, signers: dict[str, SignerProcess], tmp_path: Path
) -> None:
    def ask(*arguments: str) -> tuple[int, str]:
        done = vaults.run(
            tmp_path, "custody.signer.ask", "--socket", str(signers["hot-3"].path), *arguments, typed=""
        )
        return done.returncode, done.stdout + done.stderr

    file = tmp_path / "order.json"
    assert ask("health")[0] == 0
    file.write_bytes(
        canonical.encode(messages.order("signer.freeze", officers=[vaults.CY], verb=Verb.APPROVE, wallet="*"))
    )
    assert ask("order", str(file)) == (0, '{"kind":"signer.freeze","token":"hot-3","type":"obeyed","v":1}\n')
    code, shown = ask("health")
    assert (code, '"state":"SIGNER_FROZEN"' in shown) == (1, True)
    file.write_bytes(canonical.encode(messages.order("signer.release", wallet="*")) + b"\n")
    assert ask("order", str(file))[0] == 0
    assert ask("health")[0] == 0
    assert ask("order", str(file))[1].startswith('{"code":"SIGNER_ORDER_USED"')
    file.write_bytes(b"{}")
    assert ask("order", str(file))[0] == 1
