"""The air gap: a bundle file in, partial signatures out, on a machine without a network or a socket.

    python -m custody.signer.airgap sign --token cold-1 --registry FILE --state DIR --module LIB \\
        --in bundle.json --out partial.json

It first shows in plain words what would be signed, and the bundle's SHA-256. At a terminal the person then
types the first eight characters of the SHA-256 that the sending side shows; without one (a rehearsal, a test)
only the PIN is read, as one line of standard input. Beside its journal it leaves `head.txt`, the log's head
signed by its key: auditors are handed both.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from custody.signer import requests, safes, starting
from custody.signer.disk import MemoryInUse
from custody.signer.refusals import Refused
from custody.signer.requests import Message, Signed
from custody.signer.safes import SafeSpend
from custody.signer.session import WrongToken
from custody.signer.succession import read
from kernel import canonical, networks, script
from kernel.bech32 import BadAddress
from kernel.encodings import plain
from kernel.intent import Intent
from kernel.members import is_version
from kernel.money import Amount
from kernel.registry import Registry

CONFIRM_CHARACTERS: Final = 8


class BadBundle(ValueError):
    """The file is no bundle, or its content is not what its SHA-256 says."""


def bundle(request: Mapping[str, canonical.Value]) -> bytes:
    """The bundle file of a sign request: what the online side writes."""
    sha256 = hashlib.sha256(canonical.encode(request)).hexdigest()
    return canonical.encode({"v": 1, "type": "bundle", "request": request, "sha256": sha256})


def open_bundle(data: bytes) -> tuple[Message, str]:
    """The sign request in a bundle file, and its SHA-256; BadBundle where they disagree."""
    try:
        document = canonical.decode_object(data.removesuffix(b"\n"))
    except canonical.NotCanonical as error:
        raise BadBundle(str(error)) from None
    said = (sorted(document), document.get("type"))
    if said != (["request", "sha256", "type", "v"], "bundle") or not is_version(document["v"], 1):
        raise BadBundle("not a bundle of version 1")
    request = document["request"]
    if not isinstance(request, dict):
        raise BadBundle("a bundle holds a request")
    sha256 = hashlib.sha256(canonical.encode(request)).hexdigest()
    if document["sha256"] != sha256:
        raise BadBundle("the request is not the one that the SHA-256 names")
    return request, sha256


def describe(request: Message, registry: Registry) -> Iterator[str]:
    """What the request asks for, in lines that a person can compare with the ceremony's paper."""
    if request.get("type") == "sign_safe":
        asked = safes.spend(request)
        yield from _describe_safe(asked, registry)
        yield from _describe_intent(asked.intent, asked.signed, registry)
        return
    spend = requests.spend(request)
    psbt, network = spend.psbt, registry.network
    yield f"Spend from wallet {plain(spend.wallet)} on {network}, deployment {registry.deployment}"
    yield f"Transaction {psbt.transaction.txid}"
    for place, spent in enumerate(psbt.transaction.inputs):
        yield f"  in   {Amount(psbt.coin(place).sats, 'BTC')} BTC  coin {spent.outpoint}"
    wallet = registry.wallets.get(spend.wallet)
    for output in psbt.transaction.outputs:
        ours = wallet is not None and output.script == wallet.output_script(0)
        note = "  (change)" if ours else ""
        yield f"  out  {Amount(output.sats, 'BTC')} BTC  to {_address(output.script, network)}{note}"
    yield f"  fee  {Amount(psbt.fee, 'BTC')} BTC"
    yield from _describe_intent(spend.intent, spend.signed, registry)


def _describe_safe(asked: SafeSpend, registry: Registry) -> Iterator[str]:
    transaction, network = asked.transaction, networks.evm(asked.transaction.chain_id)
    where = f"on {networks.spoken(network)}, deployment {registry.deployment}"
    yield f"Transaction of the Safe {plain(asked.wallet)} {where}"
    yield f"  hash    0x{transaction.digest().hex()}"
    yield f"  safe    {transaction.safe}, nonce {transaction.nonce}, operation {transaction.operation}"
    yield f"  calls   {transaction.to} with {transaction.value} wei"
    yield f"  data    0x{transaction.data.hex()}"
    yield f"  refunds {'GAS, OUT OF THE SAFE' if transaction.refunds else 'nothing'}"


def _describe_intent(intent: Intent, signed: Signed, registry: Registry) -> Iterator[str]:
    yield f"Intent {intent.kind} {intent.reference}"
    yield f"  pays {intent.amount} {intent.amount.asset} to {plain(intent.destination_label)}"
    yield f"       {intent.destination}"
    yield f"  fee at most {intent.fee_cap} {intent.fee_cap.asset}"
    yield f"  good until {intent.expires:%Y-%m-%d %H:%M:%S} UTC"
    yield f"  payload SHA-256 {hashlib.sha256(signed.payload).hexdigest()}"
    for approval in signed.approvals:
        officer = registry.officers.get(approval.officer)
        yield f"  {approval.verb}: {officer.name if officer else 'UNKNOWN ' + plain(approval.officer)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; 0 if signed, 1 if not."""
    parser = argparse.ArgumentParser(prog="custody.signer.airgap", description="Sign without a network.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    show = verbs.add_parser("show", help="say what a bundle asks for; needs no token")
    show.add_argument("--registry", type=Path, required=True)
    show.add_argument("--in", dest="source", type=Path, required=True)
    for name, help_text in (("sign", "sign a bundle"), ("order", "give an officers' order to this signer")):
        verb = verbs.add_parser(name, help=help_text)
        starting.add_arguments(verb)
        verb.add_argument("--in", dest="source", type=Path, required=True, help="the bundle, or the order")
        verb.add_argument("--out", type=Path, required=True, help="where the answer goes")
    options = parser.parse_args(arguments)
    starting.harden()
    try:
        return _run(options)
    except (Refused, BadBundle, WrongToken, MemoryInUse, starting.NoPin, OSError) as error:
        print(f"NOT SIGNED {plain(str(error))}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    registry = read(options.registry)
    data = options.source.read_bytes()
    if options.verb == "order":
        request, sha256 = canonical.decode_object(data.removesuffix(b"\n")), hashlib.sha256(data).hexdigest()
        order = requests.order(request)
        print(f"Order {order.kind} about {plain(order.subject)}: {plain(order.reason)}")
    else:
        request, sha256 = open_bundle(data)
        print("\n".join(describe(request, registry)))
    print(f"SHA-256 {sha256}", flush=True)
    if options.verb == "show":
        return 0
    signer = starting.start(options, starting.read_pin(), listens=False)
    try:
        if sys.stdin.isatty() and not _confirmed(sha256):
            print("NOT SIGNED the typed characters are not those of the SHA-256", file=sys.stderr)
            return 1
        answer, head = signer.answer(request), signer.answer({"v": 1, "type": "log_head"})
    finally:
        signer.close()
    if answer["type"] != "refused":
        options.out.write_bytes(canonical.encode(answer) + b"\n")
    if head["type"] == "log_head":
        (options.state / "head.txt").write_text(str(head["note"]), encoding="utf-8")
        print(f"Log {head['key']}")
    if answer["type"] == "refused":
        print(f"NOT SIGNED {answer['code']}: {plain(str(answer['detail']))}", file=sys.stderr)
        return 1
    print(f"{str(answer['type']).upper()} by {answer['token']} into {options.out}")
    return 0


def _confirmed(sha256: str) -> bool:
    print(f"Type the first {CONFIRM_CHARACTERS} characters of the other side's SHA-256: ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == sha256[:CONFIRM_CHARACTERS]


def _address(output_script: bytes, network: str) -> str:
    try:
        return script.address_of(output_script, network)
    except BadAddress:
        return f"script {output_script.hex()}"


if __name__ == "__main__":
    sys.exit(main())
