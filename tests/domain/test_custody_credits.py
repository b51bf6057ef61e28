"""A credit against no coins, held against what officers' passkeys signed, …"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from custody.daemons.credits import BadFile, Credits
from custody.domain.credits import KIND, ON_ITS_WAY, Credit, NotAgreed, check
from kernel import canonical
from kernel.approval import SignedApproval, Verb
from kernel.intent import WITHDRAWAL
from tests.cast import NOW
from tests.messages import approvals
from tests.softtoken import hot_registry
from tests.vault import ANA, BEN, CY, DEPLOYMENT, DOT

REGISTRY: Final = hot_registry()
TOM: Final = "01900000-0000-7000-8000-0000000000d1"
PAYLOAD: Final = canonical.encode(
    {
        "v": 2,
        "kind": KIND,
        "deployment": DEPLOYMENT,
        "maker": ANA,
        "adjustment": "a1",
        "customer": TOM,
        "asset": "BTC",
        "amount": "50",
        "reason": "a bug",
        "reference": "T-1",
        "expires": "2026-11-23T05:00:00Z",
    }
)
ENDLESS: Final = {name: one for name, one in canonical.decode_object(PAYLOAD).items() if name != "expires"}


def credit(*officers: str, payload: bytes = PAYLOAD, **how: Any) -> Credit:
    given = approvals(payload, **{"kind": KIND, "asked": None, "officers": officers, **how})
    signed = tuple(SignedApproval.from_json(one) for one in given)
    return Credit(KIND, "a1", "BTC", 50, TOM, NOW, ANA, payload, signed)


END: Final = datetime(2026, 11, 23, 5, tzinfo=UTC)


def refusal(of: Credit, registry: Any = REGISTRY, **how: Any) -> str:
    with pytest.raises(NotAgreed) as refused:
        check(of, registry, **how)
    return str(refused.value)


def test_is_agreed_to_by_any_two_whom_the_registry_knows_and_its_maker_is_none_of_them() -> None:
    check(credit(BEN, CY), REGISTRY)
    check(credit(DOT, BEN, ANA), REGISTRY)
    for one in (credit(), credit(BEN), credit(BEN, BEN), credit(ANA, BEN)):
        assert "of those who signed for it" in refusal(one)
    assert refusal(credit(BEN)).endswith("the passkeys of 1, and 2 are needed")
    without = replace(REGISTRY, officers={name: REGISTRY.officers[name] for name in (ANA, BEN)})
    assert refusal(credit(BEN, CY), without).endswith("the passkeys of 1, and 2 are needed")


def test_takes_the_quorum_that_the_registry_names_for_it() -> None:
    policy = REGISTRY.policies[WITHDRAWAL]
    strict = replace(REGISTRY, policies={**REGISTRY.policies, KIND: policy})
    (team,) = policy.teams
    members = [name for name in (BEN, CY, DOT) if team in REGISTRY.officers[name].teams]
    others = [name for name in (BEN, CY, DOT) if name not in members]
    check(credit(*members), strict)
    assert others
    assert "are needed" in refusal(credit(members[0], *others), strict)


@pytest.mark.parametrize(
    "change",
    [
        *({"units": 51}, {"asset": "ETH"}, {"customer": BEN}, {"reference": "a2"}, {"maker": DOT}),
        {"kind": "trade"},
    ],
    ids=str,
)
def test_is_of_exactly_what_they_signed(change: dict[str, Any]) -> None:
    assert refusal(replace(credit(BEN, CY), **change)) == "what was asked for is another credit"


def test_is_of_this_deployment_and_this_kind() -> None:
    for name, value in (("deployment", "elsewhere"), ("kind", WITHDRAWAL)):
        other = canonical.encode({**canonical.decode_object(PAYLOAD), name: value})
        assert refusal(credit(BEN, CY, payload=other)) == "what was asked for is another credit"
    assert refusal(replace(credit(BEN, CY), payload=b"")) == "there is no request for it"


def test_is_booked_before_their_approval_ends_which_what_they_sign_says_since_version_2() -> None:
    check(replace(credit(BEN, CY), posted_at=END), REGISTRY)
    late = replace(credit(BEN, CY), posted_at=END + timedelta(seconds=1))
    assert refusal(late) == "it was booked after its approval had ended"
    said = credit(BEN, CY, payload=canonical.encode(ENDLESS))
    assert refusal(said) == "what was asked for says no end"


def test_was_there_before_the_end_of_what_was_signed_whatever_time_it_says_it_was_booked() -> None:
    """Else whoever writes rows keeps an approval that came to nothing, and books it when it is forgotten."""
    kept, moment = credit(BEN, CY), timedelta(seconds=1)
    for looked in (None, NOW, END, END + ON_ITS_WAY):
        check(kept, REGISTRY, absent=looked)
    assert refusal(kept, absent=END + ON_ITS_WAY + moment) == (
        "its approval ended at 2026-11-23 05:00, and it came into the books since"
    )


def test_is_believed_without_an_end_only_where_it_was_there_before_anybody_looked() -> None:
    """Version 1 said none. What was signed then, and is booked now, would be good for ever."""
    old = credit(BEN, CY, payload=canonical.encode({**ENDLESS, "v": 1}))
    check(old, REGISTRY)
    assert refusal(old, absent=NOW).startswith("what was asked for says no end, and it was not there at 20")
    future = credit(BEN, CY, payload=canonical.encode({**ENDLESS, "v": 3}))
    assert refusal(future) == "what was asked for says no end"


def test_counts_from_the_first_look_at_it_however_often_it_is_refused(tmp_path: Path) -> None:
    """One is taken after all once its reconciler knows an officer whom it did not; what came late, never."""
    path, later = tmp_path / "credits", END + 2 * ON_ITS_WAY
    seen = Credits(path)
    assert seen.absent("a1") is None
    seen.seen(NOW, unsigned=["a0"])
    seen.seen(END, unsigned=["a0", "a1"])
    seen.seen(later, unsigned=["a1", "a2"])
    for each in (seen, Credits(path)):
        found = [each.absent(name) for name in ("a1", "a2", "a0", "a3")]
        assert found == [NOW, END, later, later]
    Credits(path).seen(END, unsigned=[])  # a clock that was ahead is believed no longer than it was
    assert Credits(path).absent("a1") == END
    path.unlink()
    assert Credits(path).absent("a1") is None  # what was agreed to is read again from the signatures
    path.touch()
    assert Credits(path).absent("a1") is None  # also by one that ended in the middle of that
    for text in ("", "{}", "[]", '{"at": "now", "unsigned": {}}', '{"at": 1, "unsigned": {"a": 1}}'):
        (tmp_path / "credits.seen").write_text(text)
        with pytest.raises(BadFile):
            Credits(path)


@pytest.mark.parametrize(
    "how",
    [
        *({"verb": Verb.REJECT}, {"verb": Verb.ASK}, {"kind": WITHDRAWAL}, {"deployment": "elsewhere"}),
        *({"origin": "https://evil.example"}, {"rp_id": "evil.example"}),
    ],
    ids=str,
)
def test_counts_no_word_that_was_given_for_something_else(how: dict[str, Any]) -> None:
    assert "the passkeys of 0" in refusal(credit(BEN, CY, **how))


def test_counts_nobodys_word_under_anothers_name() -> None:
    ben, cy = credit(BEN, CY).approvals
    assert "the passkeys of 1" in refusal(replace(credit(), approvals=(ben, replace(cy, officer=DOT))))
    ben, cy = (replace(one, nonce=bytes(32)) for one in (ben, cy))
    assert "the passkeys of 0" in refusal(replace(credit(), approvals=(ben, cy)))


def test_adds_up_no_answers_to_two_requests() -> None:
    """One of them was rejected: whoever owns the database asks the others anew, under another nonce."""
    (ben,), (cy,) = (credit(BEN).approvals, credit(CY, nonce=b"\x08" * 32).approvals)
    assert (
        refusal(replace(credit(), approvals=(ben, cy))) == "what was signed are answers to several requests"
    )
