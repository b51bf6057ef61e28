"""Requests to a signer that were tampered with, and the code with which each must be refused.

Each case takes an honest, approved request apart in one point, as an attacker could who owns the web tier,
its database, its queue, or one officer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fixtures.authenticator import Authenticator
from kernel import canonical, encodings, script
from kernel.approval import Verb
from kernel.intent import Intent
from kernel.money import Amount
from kernel.psbt import Psbt
from kernel.registry import Registry
from kernel.transaction import Output
from tests import messages
from tests import vault as vaults
from tests.messages import coin, request, withdrawal
from tests.softkeys import SoftKey
from tests.vault import ANA, BEN, CY, DOT, Message

Tamper = Callable[[Registry], Message]


def outputs_of(registry: Registry, intent: Intent, change: int = 124_998_000) -> list[Output]:
    paid = Output(intent.amount.units, script.script_of(intent.destination, vaults.NETWORK))
    return [paid, Output(change, registry.wallets["hot"].output_script(0))]


def spend_with(
    registry: Registry, outputs: Callable[[list[Output]], list[Output]], intent: Intent | None = None
) -> Message:
    chosen = intent or withdrawal()
    made = outputs(outputs_of(registry, chosen))
    psbt = Psbt.build([coin(registry, "hot", 1, 150_000_000)], made, locktime=chosen.mark)
    return request(registry, [chosen], psbt=psbt)


def payload_of(message: Message) -> dict[str, Any]:
    return canonical.decode_object(encodings.from_base64url(message["intents"][0]["payload"]))


def changed_payload(registry: Registry, **members: Any) -> Message:
    """The approvals stay, the payload under them changes."""
    message = request(registry, [withdrawal()])
    payload = {**payload_of(message), **members}
    message["intents"][0]["payload"] = encodings.base64url(canonical.encode(payload))
    return message


def raw(registry: Registry, edit: Callable[[bytes, Psbt], bytes]) -> Message:
    """The transaction's bytes are edited as text in transit."""
    message = request(registry, [withdrawal()])
    psbt = Psbt.parse_base64(message["psbt"])
    message["psbt"] = encodings.base64_standard(edit(psbt.encoded(), psbt))
    return message


def without_previous(data: bytes, psbt: Psbt) -> bytes:
    made = psbt.spends[0].previous.encoded()
    field = b"\x01\x00" + bytes([len(made)]) + made
    assert field in data
    return data.replace(field, b"")


def lying_amount(data: bytes, psbt: Psbt) -> bytes:
    honest = psbt.coin(0)
    lie = replace(honest, sats=honest.sats - 1_000_000).encoded()
    place = data.rindex(honest.encoded())
    return data[:place] + lie + data[place + len(lie) :]


def other_sighash(data: bytes, psbt: Psbt) -> bytes:
    honest = b"\x01\x03\x04\x01\x00\x00\x00"
    assert honest in data
    return data.replace(honest, b"\x01\x03\x04\x02\x00\x00\x00")


def weaker_script(data: bytes, psbt: Psbt) -> bytes:
    threshold = psbt.spends[0].witness_script
    return data.replace(threshold, bytes([threshold[0] - 1]) + threshold[1:])


def duplicate_input(data: bytes, psbt: Psbt) -> bytes:
    transaction, spend = psbt.transaction, psbt.spends[0]
    double = replace(transaction, inputs=transaction.inputs * 2).encoded()
    once = psbt.encoded()
    maps = once[once.index(transaction.encoded()) + len(transaction.encoded()) + 1 :]
    one_map = maps[: -len(transaction.outputs)]
    assert spend.witness_script in one_map
    head = b"psbt\xff\x01\x00" + bytes([len(double)]) + double + b"\x00"
    return head + one_map * 2 + b"\x00" * len(transaction.outputs)


def of_officers(*officers: str, **how: Any) -> Tamper:
    return lambda registry: request(registry, [withdrawal()], officers=officers, **how)


def with_intent(**changes: Any) -> Tamper:
    return lambda registry: request(registry, [withdrawal(**changes)])


def spoiled(edit: Callable[[Message], Any]) -> Tamper:
    def make(registry: Registry) -> Message:
        message = request(registry, [withdrawal()])
        edit(message)
        return message

    return make


def approval(message: Message, place: int = 0) -> Message:
    found: Message = message["intents"][0]["approvals"][place]
    return found


ELSEWHERE = Output(25_000_000, b"\x00\x14" + b"\x66" * 20)


Outputs = Callable[[list[Output]], list[Output]]


def paying(outputs: Outputs) -> Tamper:
    return lambda registry: spend_with(registry, outputs)


def edited(edit: Callable[[bytes, Psbt], bytes]) -> Tamper:
    return lambda registry: raw(registry, edit)


def relabel_payload(**members: Any) -> Tamper:
    return lambda registry: changed_payload(registry, **members)


def with_fee(fee: int, cap: int = 5_000) -> Tamper:
    return lambda registry: request(registry, [withdrawal(fee_cap=Amount(cap, "BTC"))], fee=fee)


def less(output: Output, sats: int) -> Output:
    return replace(output, sats=output.sats - sats)


def missing_first_byte_of(name: str) -> Tamper:
    """One field of an assertion loses its first byte."""
    return spoiled(lambda m: approval(m).update({name: encodings.base64url(bytes_of(m, name)[1:])}))


def bytes_of(message: Message, name: str) -> bytes:
    return encodings.from_base64url(approval(message)[name])


def with_client_data(before: bytes, after: bytes) -> Tamper:
    def edit(message: Message) -> None:
        data = bytes_of(message, "client_data")
        assert before in data
        approval(message).update(client_data=encodings.base64url(data.replace(before, after)))

    return spoiled(edit)


def with_flags(flags: int) -> Tamper:
    def edit(message: Message) -> None:
        data = bytes_of(message, "authenticator_data")
        changed = data[:32] + bytes([flags]) + data[33:]
        approval(message).update(authenticator_data=encodings.base64url(changed))

    return spoiled(edit)


def repeated_field(data: bytes, psbt: Psbt) -> bytes:
    sighash = b"\x01\x03\x04\x01\x00\x00\x00"
    return data.replace(sighash, sighash * 2)


def signed_already(data: bytes, psbt: Psbt) -> bytes:
    transaction = psbt.transaction
    signed = replace(transaction, inputs=(replace(transaction.inputs[0], script_sig=b"\x51"),))
    old, new = transaction.encoded(), signed.encoded()
    return data.replace(bytes([len(old)]) + old, bytes([len(new)]) + new)


def other_previous(data: bytes, psbt: Psbt) -> bytes:
    made = psbt.spends[0].previous
    return data.replace(made.encoded(), replace(made, locktime=1).encoded())


def foreign_signature(data: bytes, psbt: Psbt) -> bytes:
    stranger = SoftKey(77)
    field = b"\x22\x02" + stranger.public_key + b"\x47" + stranger.sign(b"\x01" * 32)[:70].ljust(70) + b"\x01"
    sighash = b"\x01\x03\x04\x01\x00\x00\x00"
    return data.replace(sighash, field + sighash)


def more_than_there_is(data: bytes, psbt: Psbt) -> bytes:
    change = psbt.transaction.outputs[1]
    return data.replace(change.encoded(), replace(change, sats=change.sats + 10**9).encoded())


def plain(registry: Registry) -> Psbt:
    return Psbt.parse_base64(request(registry, [withdrawal()])["psbt"])


def foreign_coin(registry: Registry) -> Message:
    """A coin of a multisig wallet made of three strangers' keys."""
    keys = tuple(SoftKey(number).public_key for number in (71, 72, 73))
    strange = replace(registry, wallets={"hot": replace(registry.wallets["hot"], keys=(keys, keys))})
    return request(registry, [withdrawal()], coins=[coin(strange, "hot", 1, 150_000_000)])


def other_asset(registry: Registry) -> Message:
    usdt = Amount(25_000_000, "USDT")
    return request(registry, [withdrawal(amount=usdt, fee_cap=Amount(5_000, "USDT"))], psbt=plain(registry))


def refill_from_hot(registry: Registry) -> Message:
    intent = withdrawal(kind="custody.refill", customer=None, destination=registry.wallets["hot"].address(0))
    return request(registry, [intent])


def forged(registry: Registry) -> Message:
    """Right in everything, but signed with a key of the attacker's."""
    honest = vaults.KEYS[BEN]
    vaults.KEYS[BEN] = Authenticator("66" * 32)
    try:
        return request(registry, [withdrawal()])
    finally:
        vaults.KEYS[BEN] = honest


def relabelled(registry: Registry) -> Message:
    message = request(registry, [withdrawal()], verb=Verb.REJECT)
    for place in (0, 1):
        approval(message, place).update(verb="approve")
    return message


def another_mark(registry: Registry) -> Message:
    """The transaction was made for another withdrawal of as much to the same address, approved as well."""
    return request(registry, [withdrawal()], psbt=plain(registry))


def unpaid(registry: Registry) -> Message:
    """All goes back to us, and an approval would be used up."""
    return spend_with(registry, lambda outputs: outputs[1:])


def change_to_deposit_address(registry: Registry) -> Message:
    """The console would credit this change to a customer as a deposit."""
    theirs = registry.wallets["hot"].output_script(2)
    return spend_with(registry, lambda outputs: [outputs[0], replace(outputs[1], script=theirs)])


def other_wallet(registry: Registry) -> Message:
    return {**request(registry, [withdrawal(source="cold")], psbt=plain(registry)), "wallet": "hot"}


def mainnet_destination(registry: Registry) -> Message:
    intent = withdrawal(destination="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    return request(registry, [intent], psbt=plain(registry))


TAMPERED: list[tuple[str, str, Tamper]] = [
    ("destination swapped", "SIGNER_OUTPUT_NOT_APPROVED", paying(lambda o: [ELSEWHERE, o[1]])),
    ("amount raised", "SIGNER_OUTPUT_NOT_APPROVED", paying(lambda o: [less(o[0], -1), o[1]])),
    ("amount lowered", "SIGNER_OUTPUT_NOT_APPROVED", paying(lambda o: [less(o[0], 1), o[1]])),
    (
        "extra output",
        "SIGNER_OUTPUT_NOT_APPROVED",
        paying(lambda o: [o[0], Output(1, ELSEWHERE.script), less(o[1], 1)]),
    ),
    ("paid twice", "SIGNER_OUTPUT_NOT_APPROVED", paying(lambda o: [o[0], o[0], less(o[1], o[0].sats)])),
    ("not paid", "SIGNER_INTENT_NOT_PAID", paying(lambda o: [replace(o[1], sats=149_998_000)])),
    ("all of it back to us", "SIGNER_INTENT_NOT_PAID", unpaid),
    (
        "change to a stranger",
        "SIGNER_OUTPUT_NOT_APPROVED",
        paying(lambda o: [o[0], replace(o[1], script=ELSEWHERE.script)]),
    ),
    ("change to a customer's deposit address", "SIGNER_OUTPUT_NOT_APPROVED", change_to_deposit_address),
    (
        "change split",
        "SIGNER_CHANGE_TWICE",
        paying(lambda o: [o[0], replace(o[1], sats=1_000), less(o[1], 1_000)]),
    ),
    ("fee above what was approved", "SIGNER_FEE_ABOVE_CAP", with_fee(5_001)),
    ("change drained into the fee", "SIGNER_FEE_ABOVE_CAP", paying(lambda o: o[:1])),
    ("fee above the registry's cap", "SIGNER_FEE_ABOVE_LIMIT", with_fee(100_001, cap=10**7)),
    ("fee rate above the registry's cap", "SIGNER_FEERATE_ABOVE_LIMIT", with_fee(60_000, cap=10**7)),
    ("previous transaction missing", "SIGNER_PSBT_NO_PREVIOUS_TRANSACTION", edited(without_previous)),
    ("coin lies about its amount", "SIGNER_PSBT_WRONG_COIN", edited(lying_amount)),
    ("signature type NONE", "SIGNER_PSBT_WRONG_SIGHASH", edited(other_sighash)),
    ("weaker witness script", "SIGNER_PSBT_WRONG_WITNESS_SCRIPT", edited(weaker_script)),
    ("same coin twice", "SIGNER_PSBT_REPEATED_INPUT", edited(duplicate_input)),
    (
        "unknown field",
        "SIGNER_PSBT_UNKNOWN_FIELD",
        edited(lambda data, psbt: data[:-1] + b"\x01\x01\x01\x51\x00"),
    ),
    ("bytes behind the end", "SIGNER_PSBT_MALFORMED", edited(lambda data, psbt: data + b"\x00")),
    ("no transaction at all", "SIGNER_PSBT_MALFORMED", edited(lambda data, psbt: b"")),
    ("coin of nobody we know", "SIGNER_FOREIGN_COIN", foreign_coin),
    ("other deployment", "SIGNER_WRONG_DEPLOYMENT", with_intent(deployment="production")),
    ("other network", "SIGNER_WRONG_NETWORK", with_intent(network="mainnet")),
    ("other asset", "SIGNER_WRONG_ASSET", other_asset),
    ("other wallet", "SIGNER_WRONG_SOURCE", other_wallet),
    ("wallet that does not exist", "SIGNER_UNKNOWN_WALLET", spoiled(lambda m: m.update(wallet="warm"))),
    ("other policy version", "SIGNER_WRONG_POLICY", with_intent(policy=2)),
    ("expired", "SIGNER_INTENT_EXPIRED", with_intent(expires=messages.in_hours(-0.001))),
    ("good for too long", "SIGNER_INTENT_TOO_LONG", with_intent(expires=messages.in_hours(24 * 8))),
    ("refill out of the hot wallet", "SIGNER_WRONG_SOURCE", refill_from_hot),
    ("destination that is no address here", "SIGNER_WRONG_DESTINATION", mainnet_destination),
    (
        "destination in another spelling, which no limit would know again",
        "SIGNER_WRONG_DESTINATION",
        with_intent(destination=messages.DESTINATION.upper()),
    ),
    ("kind without a policy", "SIGNER_BAD_INTENT", relabel_payload(kind="custody.adjustment")),
    ("changed payload", "SIGNER_ASSERTION_CHALLENGE", relabel_payload(destination_label="somebody else")),
    ("payload with one more member", "SIGNER_BAD_INTENT", relabel_payload(surprise="x")),
    ("maker approves", "SIGNER_MAKER_APPROVES", of_officers(ANA, BEN)),
    ("maker approves as a third", "SIGNER_MAKER_APPROVES", of_officers(BEN, CY, ANA)),
    ("another is said to be the maker", "SIGNER_ASSERTION_CHALLENGE", relabel_payload(maker=DOT)),
    ("same officer twice", "SIGNER_OFFICER_TWICE", of_officers(BEN, BEN)),
    ("one officer only", "SIGNER_BELOW_QUORUM", of_officers(BEN)),
    ("nobody", "SIGNER_BELOW_QUORUM", of_officers()),
    ("officer of another team", "SIGNER_BELOW_QUORUM", of_officers(BEN, DOT)),
    (
        "officer that is not pinned",
        "SIGNER_UNKNOWN_OFFICER",
        spoiled(lambda m: approval(m).update(officer="01900000-0000-7000-8000-0000000000ff")),
    ),
    ("key that is not pinned", "SIGNER_ASSERTION_SIGNATURE", forged),
    (
        "one officer's assertion under another's name",
        "SIGNER_ASSERTION_SIGNATURE",
        spoiled(lambda m: approval(m).update(approval(m, 1), officer=BEN)),
    ),
    (
        "page of the console",
        "SIGNER_ASSERTION_ORIGIN",
        of_officers(BEN, CY, origin="http://console.localhost:8000"),
    ),
    ("other relying party", "SIGNER_ASSERTION_RP_ID", of_officers(BEN, CY, rp_id="localhost")),
    ("rejections presented", "SIGNER_WRONG_VERB", of_officers(BEN, CY, verb=Verb.REJECT)),
    ("rejections relabelled as approvals", "SIGNER_ASSERTION_CHALLENGE", relabelled),
    (
        "approvals of two different requests",
        "SIGNER_NONCES_DIFFER",
        spoiled(lambda m: approval(m, 1).update(nonce="08" * 32)),
    ),
    (
        "nonce of another request",
        "SIGNER_ASSERTION_CHALLENGE",
        spoiled(lambda m: [approval(m, p).update(nonce="08" * 32) for p in (0, 1)]),
    ),
    (
        "nonce of another length",
        "SIGNER_BAD_APPROVAL",
        spoiled(lambda m: [approval(m, p).update(nonce="08" * 31) for p in (0, 1)]),
    ),
    ("approval with a member missing", "SIGNER_BAD_APPROVAL", spoiled(lambda m: approval(m).pop("nonce"))),
    ("one intent twice", "SIGNER_NO_INTENT", spoiled(lambda m: m["intents"].append(m["intents"][0]))),
    ("no intent", "SIGNER_NO_INTENT", spoiled(lambda m: m["intents"].clear())),
    ("transaction of another intent", "SIGNER_WRONG_MARK", another_mark),
    ("member that is unknown", "SIGNER_BAD_REQUEST", spoiled(lambda m: m.update(digest="00" * 32))),
    ("raw digest", "SIGNER_BAD_REQUEST", lambda r: {"v": 1, "type": "sign_digest", "digest": "00" * 32}),
    ("other protocol version", "SIGNER_BAD_REQUEST", spoiled(lambda m: m.update(v=2))),
    ("version that is true", "SIGNER_BAD_REQUEST", spoiled(lambda m: m.update(v=True))),
    ("not unsigned", "SIGNER_PSBT_NOT_UNSIGNED", edited(signed_already)),
    ("field twice", "SIGNER_PSBT_REPEATED_FIELD", edited(repeated_field)),
    ("other previous transaction", "SIGNER_PSBT_WRONG_PREVIOUS_TRANSACTION", edited(other_previous)),
    ("signature of a stranger", "SIGNER_PSBT_FOREIGN_SIGNATURE", edited(foreign_signature)),
    ("more paid than there is", "SIGNER_PSBT_NEGATIVE_FEE", edited(more_than_there_is)),
    ("enrolment passed off", "SIGNER_ASSERTION_TYPE", with_client_data(b"webauthn.get", b"webauthn.create")),
    ("signed in a frame", "SIGNER_ASSERTION_CROSS_ORIGIN", with_client_data(b":false", b":true")),
    ("client data cut", "SIGNER_ASSERTION_CLIENT_DATA", missing_first_byte_of("client_data")),
    ("nobody touched it", "SIGNER_ASSERTION_USER_PRESENCE", with_flags(0x04)),
    ("no PIN was asked", "SIGNER_ASSERTION_USER_VERIFICATION", with_flags(0x01)),
    ("authenticator cut", "SIGNER_ASSERTION_AUTHENTICATOR_DATA", missing_first_byte_of("authenticator_data")),
]
