"""What a signer is asked, read before anything is checked, …"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from custody.signer import requests
from custody.signer.refusals import Refused
from kernel import canonical, encodings
from tests.domain.test_kernel_lane import SAID
from tests.messages import order, request, withdrawal
from tests.softtoken import hot_registry
from tests.vault import BEN, Message

ASKED: Final = request(hot_registry(), [withdrawal()])
(INTENT,) = ASKED["intents"]
(APPROVAL, *_) = INTENT["approvals"]
UNATTENDED: Final = {**ASKED, "intents": [INTENT["payload"]]}


def code(read: Any, message: Message, **how: Any) -> str:
    with pytest.raises(Refused) as refused:
        read(message, **how)
    return refused.value.code


def test_has_one_intent_and_so_many_approvals_and_no_more() -> None:
    most = {**INTENT, "approvals": [APPROVAL] * requests.APPROVALS_MAX}
    spend = requests.spend({**ASKED, "intents": [most]})
    assert len(spend.signed.approvals) == requests.APPROVALS_MAX == 50
    assert not spend.unattended
    more = {**INTENT, "approvals": [APPROVAL] * 51}
    assert code(requests.spend, {**ASKED, "intents": [more]}) == "SIGNER_BAD_REQUEST"
    for count in (0, 2):
        assert code(requests.spend, {**ASKED, "intents": [INTENT] * count}) == "SIGNER_NO_INTENT"


def test_carries_nobodys_approval_where_nobody_approved() -> None:
    spend = requests.spend(UNATTENDED, unattended=True)
    assert spend.unattended
    assert (spend.signed.payload, spend.signed.approvals) == (encodings.from_base64url(INTENT["payload"]), ())
    assert code(requests.spend, ASKED, unattended=True) == "SIGNER_BAD_REQUEST"
    assert code(requests.spend, UNATTENDED) == "SIGNER_BAD_REQUEST"


@pytest.mark.parametrize(
    ("expected", "members"),
    [
        *[("SIGNER_BAD_REQUEST", {name: 7}) for name in ("wallet", "psbt", "intents")],
        ("SIGNER_BAD_REQUEST", {"intents": {"0": INTENT}}),
        ("SIGNER_BAD_REQUEST", {"intents": [[INTENT["payload"], INTENT["approvals"]]]}),
        ("SIGNER_BAD_REQUEST", {"intents": [{**INTENT, "fee": 1}]}),
        ("SIGNER_BAD_REQUEST", {"intents": [{"payload": INTENT["payload"]}]}),
        ("SIGNER_BAD_REQUEST", {"intents": [{**INTENT, "payload": None}]}),
        ("SIGNER_BAD_REQUEST", {"intents": [{**INTENT, "approvals": {"0": APPROVAL}}]}),
        ("SIGNER_BAD_INTENT", {"intents": [{**INTENT, "payload": INTENT["payload"] + "="}]}),
        ("SIGNER_BAD_INTENT", {"intents": [{**INTENT, "payload": "e30"}]}),
        ("SIGNER_BAD_APPROVAL", {"intents": [{**INTENT, "approvals": ["yes"]}]}),
    ],
)
def test_is_refused_in_another_shape(expected: str, members: Message) -> None:
    assert code(requests.spend, {**ASKED, **members}) == expected


def test_is_named_by_its_bytes_and_its_nonce() -> None:
    """An order once obeyed is known again by it, whoever approved it beside."""
    signed = requests.order(order("signer.freeze", wallet="hot", officers=[BEN])).signed
    again = requests.Signed(signed.payload, signed.approvals * 2)
    assert again.name == signed.name
    others = [
        requests.Signed(signed.payload, ()),
        requests.Signed(signed.payload + b" ", signed.approvals),
        requests.Signed(signed.payload, (replace(signed.approvals[0], nonce=bytes(32)),)),
    ]
    assert len({signed.name, *(other.name for other in others)}) == 4


def bent(kind: str, **members: Any) -> Message:
    """An order with a payload of these members."""
    message = order("signer.registry", version=2, digest="ab" * 32, keys=["k"], officers=[BEN])
    document = canonical.decode_object(encodings.from_base64url(message["payload"]))
    document = {**document, "kind": kind, **members}
    given = {name: value for name, value in document.items() if value is not None}
    return {**message, "payload": encodings.base64url(canonical.encode(given))}


def test_is_an_order_that_says_what_it_is_about() -> None:
    read = requests.order(bent("signer.registry"))
    assert (read.kind, read.version, read.subject, read.keys) == ("signer.registry", 2, "ab" * 32, ("k",))
    assert (read.token, read.suspended) == ("", ())
    assert requests.order(bent("signer.recovery")).keys == ("k",)
    veto = requests.order(bent("signer.veto", v=1, version=None, keys=None))
    assert (veto.subject, veto.version, veto.keys) == ("ab" * 32, 0, ())
    lost = {"version": None, "digest": None, "keys": None, "token": "hot-1", "standing": "cd" * 32}
    read = requests.order(bent("signer.reopen", **lost, suspended=[BEN]))
    assert (read.token, read.subject, read.suspended) == ("hot-1", "cd" * 32, (BEN,))


@pytest.mark.parametrize(
    "members",
    [
        *({"v": 1}, {"v": True}, {"v": "2"}, {"version": "2"}, {"version": True}, {"version": None}),
        *({"keys": "k"}, {"keys": [7]}, {"keys": None}, {"digest": ""}, {"digest": 7}, {"reason": ""}),
        *({"maker": "Ana"}, {"expires": "soon"}, {"wallet": "hot"}, {"kind": "signer.thaw"}, {"kind": 7}),
        {"suspended": []},
    ],
    ids=str,
)
def test_is_no_order_of_another_shape(members: dict[str, Any]) -> None:
    kind = members.pop("kind", "signer.registry")
    assert code(requests.order, bent(kind, **members)) == "SIGNER_BAD_ORDER"


def test_of_a_customer_or_a_reconciler_is_read_to_its_last_member() -> None:
    learn: Message = {"v": 1, "type": "learn", "payload": "e30", "proof": 7}
    assert requests.learnt(learn) == requests.Learnt(b"{}", 7)
    said = encodings.base64url(canonical.encode(SAID))
    attest: Message = {"v": 1, "type": "attest", "payload": said, "signature": "AAAA"}
    read = requests.attested(attest)
    assert (encodings.base64url(read.payload), read.signature, read.said.wallet) == (said, bytes(3), "hot")
    assert code(requests.attested, {**attest, "payload": "e30"}) == "SIGNER_BAD_ATTESTATION"
    for reader, message in ((requests.learnt, learn), (requests.attested, attest)):
        assert code(reader, {**message, "more": 1}) == "SIGNER_BAD_REQUEST"
    assert code(requests.spend, {**ASKED, "psbt": "cHNidP8="}).startswith("SIGNER_PSBT_")
