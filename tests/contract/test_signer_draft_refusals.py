"""A draft of the next registry …"""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.signer import registry as program
from custody.signer.drafts import notes
from custody.signer.written import BadDraft
from kernel import registration
from kernel.registry import DELAY_S_MIN
from tests import vault as vaults
from tests.drafting import KEY, PAPER, RIA, draft, in_force, records
from tests.recoveries import RAE
from tests.vault import ANA, BEN, DECODERS, DOT
from tests.watchers import WATCHERS

ANAS = vaults.KEYS[ANA].public_key_hex
ANAS_PAPER = registration.fingerprint(bytes.fromhex(ANAS))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([], "nothing but the version would change"),
        # The kernel's words.
        ([("replace-passkey", ("Ben", ANAS, ANAS_PAPER))], "two officers share a key"),
        ([("set-decoder", (DOT, DECODERS[BEN].public_key().public_bytes_raw().hex()))], "share a decoder"),
        ([("set-decoder", (DOT, "ab"))], "a decoder's key is 32 bytes"),
        ([("set-limit", ("window_s", "400d"))], "window_s is a year at most"),
        ([("set-limit", ("payment_units_max/cold", "1BTC"))], "names a wallet that does not exist"),
        ([("set-limit", ("window_s", "none"))], "missing or unknown: window_s"),
        (
            [("set-lane", ("hot/window_units_max", "0.001BTC"))],
            "one transaction of a lane is within",
        ),
        ([("set-lane", ("cold/window_s", "1d"))], "lanes name a wallet that does not exist"),
        ([("set-reconciler", ("hot/second", "ab"))], "32 bytes of an Ed25519 key"),
        ([("set-destination", ("custody.withdrawal", "cold/0"))], "no address of ours"),
        ([("set-quorum", ("custody.withdrawal", "treasury:0"))], "needs a positive number of people"),
        ([("set-teams", ("Dot", "audit,audit"))], "teams repeats itself"),
        # Its own.
        (
            [("remove-officer", ("Ben",)), ("remove-officer", ("Cy",))],
            "its officers would be too few",
        ),
        ([("remove-officer", ("Cy",))], "nobody who may ask for the next registry would be left"),
        ([("set-quorum", ("signer.release", "compliance:2"))], "signer.release wants 2 of compliance"),
        ([("replace-passkey", ("Ben", KEY, "0" * 32))], "and not the one given"),
        ([("replace-passkey", ("Bob", KEY, PAPER))], "no one officer of this registry; there are Ana, Ben"),
        ([("add-officer", (RIA, "Ben", "audit", KEY, PAPER))], "stands in the registry already"),
        ([("set-limit", ("fee_max", "1sats"))], "there is no limit fee_max; there are"),
        ([("set-limit", ("fee_sats_max", "1000"))], "say the unit, as in 0.06BTC or 6000000sats"),
        ([("set-limit", ("registry_delay_s", "86400"))], "say the unit, as in 90s, 15m, 12h or 3d"),
        ([("set-limit", ("registry_delay_s", "1h"))], "registry_delay_s is 3600 already"),
        ([("set-lane", ("window_units_max", "1BTC"))], "write WALLET/NAME"),
        ([("remove-lane", ("cold",))], "cold has no lane"),
        ([("set-teams", (RAE, "audit"))], "is there for a recovery"),
        ([("set-recovery", ("delay_s", "2d"))], "three days to a year of delay"),
        ([("set-recovery", ("quorum", "two"))], "write quorum and a number"),
        (
            [("remove-witness", (WATCHERS[2],)), ("remove-witness", (WATCHERS[1],))],
            "more are needed than named",
        ),
        ([("add-witness", ("stranger",))], "a verifier key is name+hash+key"),
        ([("retire-wallet", ("hot",))], "custody.withdrawal pays out of or into hot"),
    ],
)
def test_is_refused_before_anybody_signs(changes: list[tuple[str, tuple[str, ...]]], why: str) -> None:
    with pytest.raises(BadDraft) as caught:
        draft(in_force(), changes)
    assert why in str(caught.value)


def test_is_refused_where_a_token_s_keys_are_not_safe_or_others(tmp_path: Path) -> None:
    weak = records(tmp_path, "warm", 2, weak=True)
    with pytest.raises(BadDraft, match=r"the keys of warm-1 are not safe: never_extractable"):
        draft(in_force(), [("add-wallet", ("warm", "2", weak))])
    for other in (records(tmp_path, "hot", 4), records(tmp_path, "warm", 6)):
        with pytest.raises(BadDraft, match=r"do not begin with the keys|the records are of"):
            draft(in_force(), [("extend-wallet", ("hot", other))])


def test_leaves_real_money_a_day_for_a_veto() -> None:
    real = in_force(network="mainnet", limits={"registry_delay_s": 2 * DELAY_S_MIN})
    with pytest.raises(BadDraft, match="waits at least a day on mainnet"):
        draft(real, [("set-limit", ("registry_delay_s", "23h"))])
    shorter = draft(real, [("set-limit", ("registry_delay_s", "1d"))])
    assert any(
        line.startswith("NOTE  later registries will leave less time") for line in notes(real, shorter)
    )


def test_moves_nothing_but_officers_where_it_is_for_a_recovery() -> None:
    swap = ("replace-passkey", ("Ben", KEY, PAPER))
    assert draft(in_force(), [swap], recovery=True).officers[BEN].public_key.hex() == KEY
    with pytest.raises(BadDraft, match="a recovery changes officers and nothing else"):
        draft(in_force(), [swap, ("set-limit", ("fee_sats_max", "9sats"))], recovery=True)


def test_is_asked_for_with_every_word_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registry.json").write_bytes(in_force().encoded)
    words = ["draft", str(tmp_path / "registry.json"), "--out", str(tmp_path / "next.json")]
    for wrong in (
        ["--follows", "x", "--replace-passkey", "Ben", KEY],
        ["--follows", "x", "--remove-o", "Ben"],
        ["--remove-officer", "Ben"],
    ):
        with pytest.raises(SystemExit):
            program.main([*words, *wrong])
        assert "usage: signer registry" in capsys.readouterr().err
    assert not (tmp_path / "next.json").exists()
