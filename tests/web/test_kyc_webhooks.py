"""The hooks door, spoken to in bytes: it stores what is signed, answers at once, and tells nobody why not."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import select
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest

from kyc import actions
from kyc.adapters import providers
from kyc.domain.deliveries import BODY_BYTES_MAX
from kyc.models import Provider, UnverifiedDelivery, WebhookDelivery
from tests.cast import NOW
from tests.providers import HOOK_SECRET, HOST, ROBOT, hook_path, hooks_door

BODY = b'{\n  "type" : "applicantReviewed",\n  "applicantId" : "5cb744200a975a67ed1798a4"\n}'
UNVERIFIED = (401, b'{"ok": false}')


def digest(body: bytes, secret: str = HOOK_SECRET, name: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, name).hexdigest()


@pytest.fixture
def door(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The door with both endpoints declared; a call to a provider from there fails the test."""

    def never(*_args: object) -> None:
        raise AssertionError("the door called a provider")

    monkeypatch.setattr(providers, "client", never)
    for provider in Provider:
        actions.declare_endpoint(provider=provider, secrets=["old", HOOK_SECRET], actor=ROBOT, now=NOW)
    with hooks_door() as port:
        yield port


def post(
    port: int, body: bytes, headers: dict[str, str], *, path: str = "", host: str = HOST, method: str = "POST"
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    whole = {"Host": host, "Content-Type": "application/json"} | headers
    connection.request(method, path or hook_path("sumsub"), body=body, headers=whole)
    response = connection.getresponse()
    answer = (response.status, response.read())
    connection.close()
    return answer


def stored() -> int:
    return WebhookDelivery.objects.count()


def test_a_signed_delivery_is_stored_and_answered(door: int) -> None:
    assert post(door, BODY, {"X-Payload-Digest": digest(BODY)}) == (200, b'{"ok": true}')
    row = WebhookDelivery.objects.get()
    assert (row.state, row.body_sha256) == ("new", hashlib.sha256(BODY).hexdigest())


def test_either_secret_and_the_stronger_algorithm_are_taken(door: int) -> None:
    strong = {"X-Payload-Digest": digest(BODY, name="sha512"), "X-Payload-Digest-Alg": "HMAC_SHA512_HEX"}
    assert post(door, BODY, {"X-Payload-Digest": digest(BODY, "old")})[0] == 200
    assert post(door, BODY, strong)[0] == 200
    assert stored() == 1


def test_onfido_s_header_opens_onfido_s_endpoint_only(door: int) -> None:
    headers = {"X-SHA2-Signature": digest(BODY)}
    assert post(door, BODY, headers, path=hook_path("onfido"))[0] == 200
    assert post(door, BODY, headers) == UNVERIFIED
    crossed = hook_path("sumsub", actions.endpoint_id("onfido"))
    assert post(door, BODY, {"X-Payload-Digest": digest(BODY)}, path=crossed) == UNVERIFIED


UNSIGNED = [
    {},
    {"X-Payload-Digest": ""},
    {"X-Payload-Digest": "0" * 64},
    {"X-Payload-Digest": digest(BODY) + "zz"},
    {"X-Payload-Digest": digest(BODY).upper()},
    {"X-Payload-Digest": digest(BODY)[:-1] + "é"},
    {"X-Payload-Digest": digest(BODY, name="sha1"), "X-Payload-Digest-Alg": "HMAC_SHA1_HEX"},
    {"X-Payload-Digest": digest(BODY, "the-app-token-s-secret")},
    {"X-Payload-Digest": digest(BODY + b" ")},
    {"X-SHA2-Signature": digest(BODY)},
]


def test_whatever_is_not_signed_gets_the_same_answer_and_leaves_no_body(door: int) -> None:
    for headers in UNSIGNED:
        assert post(door, BODY, headers) == UNVERIFIED
    assert stored() == 0
    assert set(UnverifiedDelivery.objects.values_list("body_bytes", flat=True)) == {len(BODY)}


def test_an_unknown_endpoint_looks_like_a_bad_signature(door: int) -> None:
    good = {"X-Payload-Digest": digest(BODY)}
    assert post(door, BODY, good, path=hook_path("sumsub", uuid4())) == UNVERIFIED
    assert not UnverifiedDelivery.objects.exists()


def test_two_digest_headers_do_not_verify(door: int) -> None:
    lines = [
        f"POST {hook_path('sumsub')} HTTP/1.1",
        f"Host: {HOST}",
        f"Content-Length: {len(BODY)}",
        f"X-Payload-Digest: {digest(BODY)}",
        "X-Payload-Digest: " + "0" * 64,
        "Connection: close",
    ]
    with socket.create_connection(("127.0.0.1", door), timeout=60) as raw:
        raw.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + BODY)
        assert raw.makefile("rb").readline().split()[1] == b"401"
    assert stored() == 0


def test_a_multipart_or_form_body_is_taken_as_the_bytes_it_is(door: int) -> None:
    for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain"):
        body = BODY + kind.encode()
        headers = {"Content-Type": kind, "X-Payload-Digest": digest(body)}
        assert post(door, body, headers)[0] == 200


def test_a_long_body_is_refused_and_the_longest_allowed_is_taken(door: int) -> None:
    longest = b" " * BODY_BYTES_MAX
    assert post(door, longest, {"X-Payload-Digest": digest(longest)})[0] == 200
    longer = longest + b" "
    assert post(door, longer, {"X-Payload-Digest": digest(longer)})[0] == 413
    assert stored() == 1


def test_a_long_body_without_a_length_is_refused_too(door: int) -> None:
    body = b" " * (BODY_BYTES_MAX + 1)
    connection = http.client.HTTPConnection("127.0.0.1", door, timeout=60)
    headers = {"Host": HOST, "X-Payload-Digest": digest(body), "Transfer-Encoding": "chunked"}
    parts = (body[at : at + 65536] for at in range(0, len(body), 65536))
    connection.request("POST", hook_path("sumsub"), body=parts, headers=headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    assert stored() == 0


def test_a_body_without_an_end_is_answered_before_it_fills_the_disk(door: int) -> None:
    """Nobody has been asked who sends it: the server would keep all of it in a file first."""
    piece = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    head = f"POST {hook_path('sumsub')} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", door), timeout=60) as connection:
        connection.sendall(head.encode())
        sent = 0
        with contextlib.suppress(ConnectionError):  # it answers, and hangs up on what is still being sent
            while sent < 1024 and not select.select([connection], [], [], 0)[0]:
                connection.sendall(piece)
                sent += 1
            assert connection.recv(12) == b"HTTP/1.1 413"
        assert sent < 1024, "64 MiB were taken"


def test_signed_rubbish_is_stored_and_answered_like_anything_else(door: int) -> None:
    for rubbish in (b"", b"null", b"[]", b"\xff\xfe", b"not json"):
        assert post(door, rubbish, {"X-Payload-Digest": digest(rubbish)})[0] == 200
    assert stored() == 5


def test_only_post_is_answered_and_only_on_this_host(door: int) -> None:
    good = {"X-Payload-Digest": digest(BODY)}
    assert post(door, b"", {}, method="GET")[0] == 405
    assert post(door, BODY, good, host="console.localhost")[0] in (403, 404, 421)
    assert post(door, BODY, good, host="evil.example")[0] in (400, 404, 421)
    assert stored() == 0


def test_an_edge_token_or_a_cookie_is_no_right_to_anything_here(door: int) -> None:
    headers = {"Cf-Access-Jwt-Assertion": "eyJ", "Cookie": "session=x", "Authorization": "Bearer x"}
    assert post(door, BODY, headers) == UNVERIFIED
