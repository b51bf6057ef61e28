"""What an attacker does who owns the worker: its OS user, its database role, and its way to the signers.

    python -m devstack.demo.attacker WITHDRAWAL_ID

Takes the real payment with its real approvals, alters the transaction in one way after another, and hands
each version to every hot signer. Prints one JSON line per attempt: what was tried, where, the answer.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import django

from devstack.demo.outside import Outsider
from kernel import frames, script
from kernel.psbt import Psbt


def main() -> None:
    django.setup()
    from django.conf import settings

    from custody.models import Payment
    from custody.queries.payments import sign_request

    payment = Payment.objects.get(withdrawal_id=sys.argv[1])
    honest = sign_request(payment)
    psbt = Psbt.parse_base64(honest["psbt"])
    for name, request in _versions(honest, psbt, settings.NETWORK):
        for token in payment.wallet.tokens:
            answer = _ask(settings.SIGNERS_DIR / f"{token}.sock", request)
            line = {"tried": name, "token": token, "answer": answer["type"], "code": answer.get("code", "")}
            print(json.dumps(line), flush=True)


def _versions(honest: Mapping[str, Any], psbt: Psbt, network: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each attempt with its name."""
    outputs = psbt.transaction.outputs
    mine = script.script_of(Outsider.fresh_address(), network)
    stolen = (replace(outputs[0], script=mine), *outputs[1:])
    yield "another destination", {**honest, "psbt": _with(psbt, stolen)}
    change = (*outputs[:-1], replace(outputs[-1], script=mine))
    yield "change to the attacker", {**honest, "psbt": _with(psbt, change)}
    greedy = (*outputs[:-1], replace(outputs[-1], sats=outputs[-1].sats - 90_000))
    yield "a fee raised beyond the intent's cap", {**honest, "psbt": _with(psbt, greedy)}
    intent = honest["intents"][0]
    yield "one approval only", {**honest, "intents": [{**intent, "approvals": intent["approvals"][:1]}]}
    twice = [intent["approvals"][0], intent["approvals"][0]]
    yield "the same officer twice", {**honest, "intents": [{**intent, "approvals": twice}]}
    yield "no intent at all", {**honest, "intents": []}


def _with(psbt: Psbt, outputs: tuple[Any, ...]) -> str:
    """The PSBT with other outputs, as base64."""
    return Psbt(replace(psbt.transaction, outputs=outputs), psbt.spends).base64()


def _ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as signer:
        signer.settimeout(20)
        signer.connect(str(path))
        signer.sendall(frames.encode(request))
        body = frames.decode_body(_exactly(signer, frames.body_length(_exactly(signer, 4))))
    return dict(body)


def _exactly(signer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = signer.recv(count - len(data))
        if not part:
            raise ConnectionError("the signer hung up")
        data += part
    return data


if __name__ == "__main__":
    main()
