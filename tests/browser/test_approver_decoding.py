"""Of the bytes that it is given, the approver page …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from kernel import canonical, encodings
from tests.browser.conftest import Site
from tests.browser.test_console_screens import ALL_RULES, keep, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VECTORS: Final = Path(__file__).resolve().parents[2] / "fixtures/vectors/canonical.json"


def test_refuses_whatever_it_cannot_read_to_the_last_byte(site: Site, visit: Any) -> None:
    request = site.exchange.request
    page = visit(None).page
    payload = bytes(request.payload)
    good: dict[str, Any] = {
        "asks": "no",
        "confirm": "no",
        "deployment": "test",
        "kind": request.kind,
        "nonce": bytes(request.nonce).hex(),
        "payload": encodings.base64url(payload),
        "request": str(request.pk),
        "return": site.console,
    }
    members = canonical.decode_object(payload)

    def asked(**changes: Any) -> str:
        return encodings.base64url(canonical.encode(good | changes))

    def altered(**changes: Any) -> str:
        return asked(payload=encodings.base64url(canonical.encode({**members, **changes})))

    refused = {
        "": "The link carries no request.",
        "AAAA": "one proper encoding",
        asked(deployment="production"): "another deployment",
        asked(**{"return": "https://evil.example"}): "did not come from this deployment’s console",
        asked(kind="custody.refill"): "filed under another kind",
        asked(payload=encodings.base64url(payload + b" ")): "one proper encoding",
        asked(payload=encodings.base64url(payload.replace(b'"v":1', b'"v":1.0'))): "one proper encoding",
        altered(also_to="somebody else"): "does not have exactly these members: “also_to”",
        altered(kind="custody.loan"): "does not know acts of the kind “custody.loan”",
        altered(amount="6e6"): "amount is not an amount",
        altered(asset="DOGE"): "DOGE” is not known",
        altered(deployment="production"): "another deployment than the request",
        altered(expires="tomorrow"): "not a time in UTC",
    }
    for fragment, sentence in refused.items():
        page.goto("about:blank")
        page.goto(f"{site.approver}/#{fragment}")
        expect(page.locator("#refusal-sentence")).to_contain_text(sentence)
        expect(page.locator("#act")).to_be_hidden()
    keep(page, "approver-refusal")
    assert violations(page, ALL_RULES) == []

    backwards = altered(destination_label="Tom\u202eemoh")
    page.goto("about:blank")
    page.goto(f"{site.approver}/#{backwards}")
    expect(page.locator("#lines")).to_contain_text("Tom⟨U+202E⟩emoh")
    page.goto("about:blank")
    page.goto(f"{site.approver}/#{altered(expires='2026-01-01T00:00:00Z')}")
    expect(page.locator("#late")).to_contain_text("void already")
    expect(page.locator("#verb-approve")).to_be_disabled()


def test_decodes_and_hashes_as_the_kernel_does(site: Site, visit: Any) -> None:
    page = visit(None).page
    page.goto(site.approver)
    vectors = json.loads(VECTORS.read_text())
    for name in ("accept", "refuse"):
        for vector in vectors[name]:
            if "repeat" in vector:
                vector["hex"] = "".join(part * times for part, times in vector.pop("repeat"))
    found = page.evaluate(READ_ALL, json.dumps(vectors))
    assert found["refused"] == []
    assert found["accepted"] == []
    assert found["challenges"] == [statement["challenge"] for statement in vectors["statements"]]
    assert page.evaluate(DECIMALS) == {"BTC": 8, "ETH": 18, "USDT": 6}


READ_ALL: Final = """async (text) => {
  const vectors = JSON.parse(text);
  const { decode } = await import("/canonical.js");
  const { challengeOf, digestOf, hex } = await import("/statement.js");
  const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const plain = (value) => value instanceof Map
    ? Object.fromEntries(Array.from(value, ([name, item]) => [name, plain(item)]))
    : Array.isArray(value) ? value.map(plain) : value;
  const same = (one, other) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
  const sorted = (value) => value && typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([name, item]) => [name, sorted(item)])
    : Array.isArray(value) ? value.map(sorted) : value;
  const refused = [], accepted = [], challenges = [];
  for (const vector of vectors.accept) {
    try {
      const read = bytes(vector.hex);
      if (!same(plain(decode(read)), vector.value)) refused.push(`${vector.name}: another value`);
      if (hex(await digestOf(read)) !== vector.digest) refused.push(`${vector.name}: another digest`);
    } catch (error) { refused.push(`${vector.name}: ${error.message}`); }
  }
  for (const vector of vectors.refuse) {
    try { decode(bytes(vector.hex)); accepted.push(vector.name); }
    catch (error) { if (error.name !== "NotCanonical") accepted.push(`${vector.name}: ${error}`); }
  }
  for (const statement of vectors.statements) {
    const digest = await digestOf(new TextEncoder().encode(statement.payload));
    challenges.push(hex(await challengeOf({ ...statement, digest })));
  }
  return { refused, accepted, challenges };
}"""

DECIMALS: Final = """async () => Object.fromEntries((await import("/acts.js")).DECIMALS)"""
