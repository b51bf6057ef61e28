"""What custody hears from outside …"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from custody.adapters import judge, pricing, screening, signer_client
from custody.adapters.pricing import NoQuote
from custody.adapters.screening import ListUnreadable
from custody.adapters.signer_client import Declined, Signed, SignerUnreachable
from devstack.standins import prices
from kernel import canonical, frames, script
from kernel.psbt import Psbt
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.softkeys import SoftKey

KEYS = [SoftKey(number) for number in (21, 22, 23)]
WITNESS = script.sorted_multisig(2, [key.public_key for key in KEYS])
HOME = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


# --- Prices ---------------------------------------------------------------------------------------------


def feed(document: Any, status: int = 200) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _request: httpx.Response(status, json=document))


def quoted(**changes: Any) -> dict[str, Any]:
    return {"asset": "BTC", "quote": "USD", "price": "60000.50", "at": "2026-11-21T03:00:00+00:00"} | changes


@pytest.mark.parametrize(
    ("price", "cents"),
    [("60000", 60_000_00), ("60000.5", 60_000_50), ("0.011", 2), ("0.01000000", 1), ("1.0000001", 1_01)],
)
def test_prices_are_exact_cents_rounded_up(price: str, cents: int) -> None:
    found = pricing.quote("http://feed", "BTC", transport=feed(quoted(price=price)))
    assert (found.asset, found.cents) == ("BTC", cents)
    assert found.quoted_at == datetime(2026, 11, 21, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        quoted(asset="USDT"),
        quoted(quote="EUR"),
        quoted(price=60000.5),
        quoted(price="-1"),
        quoted(price="0"),
        quoted(price="0.000"),
        quoted(price="1e5"),
        quoted(price="NaN"),
        quoted(price="١"),
        quoted(at="2026-11-21T03:00:00"),
        quoted(at="yesterday"),
        quoted(at=None),
    ],
)
def test_prices_are_none_rather_than_guessed(document: Any) -> None:
    with pytest.raises(NoQuote):
        pricing.quote("http://feed", "BTC", transport=feed(document))


def test_prices_are_none_when_the_feed_fails() -> None:
    with pytest.raises(NoQuote):
        pricing.quote("http://feed", "BTC", transport=feed({}, status=500))
    with pytest.raises(NoQuote):
        pricing.quote("http://127.0.0.1:1", "BTC")


def test_prices_come_from_the_stand_in_as_from_a_feed() -> None:
    server = prices.server(port=0, prices={"BTC": "61000.25"})
    server.start()
    try:
        assert pricing.quote(server.url, "BTC").cents == 61_000_25
        httpx.put(f"{server.url}/_standin/prices/BTC", json={"price": "7", "age_s": 3600}, trust_env=False)
        old = pricing.quote(server.url, "BTC")
        assert old.cents == 700
        assert old.quoted_at < datetime.now(UTC) - timedelta(minutes=59)
        httpx.put(f"{server.url}/_standin/prices/BTC", json={"price": None}, trust_env=False)
        with pytest.raises(NoQuote):
            pricing.quote(server.url, "BTC")
    finally:
        server.shutdown()
        server.server_close()


# --- Sanctions ------------------------------------------------------------------------------------------


def test_sanctions_name_a_destination_in_any_spelling(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"# header\n\n{HOME} a mixer # seen in May\nbcrt1other\n")
    assert screening.hits(path, HOME.upper()) == ["on the sanctions list: a mixer"]
    assert screening.hits(path, "bcrt1other") == ["on the sanctions list: no remark"]
    assert screening.hits(path, "bcrt1clean") == []


def test_sanctions_call_nothing_clear_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(ListUnreadable):
        screening.hits(tmp_path / "missing.txt", HOME)
    (tmp_path / "damaged.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ListUnreadable):
        screening.hits(tmp_path / "damaged.txt", HOME)


# --- Signers --------------------------------------------------------------------------------------------


@contextmanager
def signer(folder: Path, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """Something that listens where hot-1 should, and answers each connection so."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "hot-1.sock"))
        listener.listen(1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer(connection.recv(65536)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(60)


def ask(folder: Path) -> Signed | Declined:
    return signer_client.ask(folder, "hot-1", {"v": 1, "type": "sign"})


def test_signers_give_signatures_or_a_code(tmp_path: Path) -> None:
    item = {"input": 0, "public_key": "02", "signature": "30"}
    signed: dict[str, Any] = {"v": 1, "type": "signed", "token": "hot-1", "txid": "t", "signatures": [item]}
    with signer(tmp_path, lambda _: frames.encode(signed)):
        assert ask(tmp_path) == Signed("hot-1", [item])
    (tmp_path / "hot-1.sock").unlink()
    declined: dict[str, Any] = {"v": 1, "type": "refused", "code": "SIGNER_FROZEN", "detail": "frozen"}
    with signer(tmp_path, lambda _: frames.encode(declined)):
        assert ask(tmp_path) == Declined("hot-1", "SIGNER_FROZEN", "frozen")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x00",
        b"\x00\x00\x00\x05hello",
        b"\xff\xff\xff\xff",
        frames.encode({"type": "signed", "token": "hot-2", "signatures": []}),
        frames.encode({"type": "signed", "token": "hot-1", "signatures": "all"}),
        frames.encode({"type": "healthy"}),
        frames.encode({"type": "refused", "code": "SIGNER_SIGNED_ENOUGH", "detail": "again in an hour"}),
    ],
)
def test_signers_that_say_anything_else_have_not_answered(tmp_path: Path, answer: bytes) -> None:
    with signer(tmp_path, lambda _: answer), pytest.raises(SignerUnreachable):
        ask(tmp_path)


@pytest.mark.parametrize("code", ["SIGNER_LOCKED", "SIGNER_TOKEN_FAILED", "SIGNER_STORE_LOST"])
def test_signers_that_cannot_obey_now_are_asked_again(tmp_path: Path, code: str) -> None:
    """Else a freeze would be over for a signer that was just started, and missing once it signs."""
    said: dict[str, Any] = {"v": 1, "type": "refused", "token": "hot-1", "code": code, "detail": "not now"}
    with signer(tmp_path, lambda _: frames.encode(said)), pytest.raises(SignerUnreachable, match=code):
        signer_client.order(tmp_path, "hot-1", {"v": 1, "type": "order"})


def test_signers_that_are_not_there_have_not_answered(tmp_path: Path) -> None:
    with pytest.raises(SignerUnreachable):
        ask(tmp_path)


# --- Judges ---------------------------------------------------------------------------------------------


def spend(*signers: SoftKey) -> Psbt:
    previous = Transaction((Input(Outpoint("44" * 32, 0)),), (Output(100_000, script.p2wsh(WITNESS)),))
    outputs = [Output(90_000, b"\x00\x14" + b"\x03" * 20)]
    psbt = Psbt.build([(Outpoint(previous.txid, 0), previous, WITNESS)], outputs)
    (digest,) = psbt.digests()
    return psbt.with_signatures((0, key.public_key, key.sign(digest) + b"\x01") for key in signers)


def test_judges_let_a_quorum_pass_and_agree_on_the_bytes() -> None:
    psbt = spend(*KEYS[:2])
    assert judge.finalise(psbt) == psbt.finalised().encoded()


def test_judges_let_three_signatures_pass_as_two() -> None:
    assert Transaction.parse(judge.finalise(spend(*KEYS))).txid == spend().transaction.txid


def test_judges_stop_what_is_not_final() -> None:
    for psbt in (spend(), spend(KEYS[0])):
        with pytest.raises(judge.NotFinal):
            judge.finalise(psbt)


def test_judges_stop_a_signature_over_something_else() -> None:
    good = Transaction.parse(judge.finalise(spend(*KEYS[:2])))
    changed = replace(good, outputs=(replace(good.outputs[0], sats=1),))
    coin = (100_000, script.p2wsh(WITNESS))
    assert judge.is_valid(good.encoded(), [coin])
    assert not judge.is_valid(changed.encoded(), [coin])
    assert not judge.is_valid(good.encoded(), [(coin[0] + 1, coin[1])])
    assert not judge.is_valid(good.encoded(), [])


@pytest.mark.parametrize("network", ["mainnet", "testnet", "signet", "regtest"])
def test_judges_derive_the_same_address(network: str) -> None:
    ours = script.address_of(script.p2wsh(WITNESS), network)
    assert judge.address_of(2, [key.public_key for key in KEYS], network) == ours


def test_bundles_are_read_by_the_air_gap_as_they_are_written() -> None:
    from custody.actions.bundles import bundle
    from custody.signer import airgap

    request: dict[str, Any] = {"v": 1, "type": "sign", "wallet": "cold", "psbt": "", "intents": []}
    assert bundle(request) == airgap.bundle(request)
    assert airgap.open_bundle(bundle(request) + b"\n") == (
        request,
        canonical.digest(canonical.encode(request)).hex(),
    )
