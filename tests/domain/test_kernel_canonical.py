"""The canonical encoding …"""

import json
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import canonical
from kernel.canonical import NotCanonical

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.integers(-canonical.LARGEST_INTEGER, canonical.LARGEST_INTEGER)
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_gives_every_value_back(value: canonical.Value) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@given(values)
def test_is_json(value: canonical.Value) -> None:
    assert json.loads(canonical.encode(value)) == value


@given(st.dictionaries(texts, integers, max_size=6), st.randoms())
def test_does_not_depend_on_the_order_of_insertion(value: dict[str, int], random: object) -> None:
    shuffled = list(value.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert canonical.encode(dict(shuffled)) == canonical.encode(value)


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_accepts_no_bytes_but_its_own(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except NotCanonical:
        return
    assert canonical.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"", b" 1", b"1 ", b"1.0", b"1e3", b"-0", b"01", b"NaN", b"Infinity", b'{"b":1,"a":2}',
        b'{"a":1,"a":1}', b'{"a": 1}', b"[1, 2]", b'"\\u0041"', b'"\\n"', b'"\\/"', b'"\xff"',
        b"9007199254740992", b"\xef\xbb\xbf1", b"[" * 40 + b"]" * 40,
    ],
)  # fmt: skip
def test_refuses_other_spellings(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        canonical.decode(data)


@pytest.mark.parametrize(
    "value",
    [1.5, 2**53, "\ud800", {1: "a"}, {None: 1}, b"bytes", {"a": object()}, [1.0], HTTPStatus.OK],
)
def test_has_nothing_for_floats_bytes_and_strangers(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical.encode(value)  # type: ignore[arg-type]


def test_escapes_as_documented() -> None:
    assert canonical.encode('a"\\\n\x1f\x7fé') == '"a\\"\\\\\\u000a\\u001f\x7fé"'.encode()
    assert (
        canonical.encode({"\\b\b": "\\\\t\t\r\f/"}) == b'{"\\\\b\\u0008":"\\\\\\\\t\\u0009\\u000d\\u000c/"}'
    )


def test_goes_sixteen_levels_deep() -> None:
    value: canonical.Value = "inside"
    for _ in range(canonical.DEPTH_MAX):
        value = [value]
    assert canonical.decode(canonical.encode(value)) == value
    with pytest.raises(NotCanonical):
        canonical.encode([value])
