"""What authenticators write in CBOR …"""

from __future__ import annotations

from typing import Any, Final

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import cbor

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=300)
    | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-9, 9) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_is_read_as_others_read_it(value: Any) -> None:
    if depth(value) <= cbor.DEPTH_MAX:
        assert cbor.decode(cbor2.dumps(value)) == value


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + depth(one) for one in inner), default=0)


SECOND_SPELLINGS: Final = "1800 190017 f97e00 c001 5f4101ff a201000100 f8ff 0000 4201 a1f500 61ff a1"
OTHERS: Final = ("", "9a00ffffff", "81" * 9 + "00", "a100" * 9 + "00", "a1" * 2_000)
UNREAD: Final = f"f0 f7 c0 a1410000 5c 1c00 1c{'ff' * 16} 1817 1900ff 1a0000ffff 1b00000000ffffffff"


@pytest.mark.parametrize("written", [*SECOND_SPELLINGS.split(), *UNREAD.split(), *OTHERS])
def test_is_refused_in_a_second_spelling_or_without_an_end(written: str) -> None:
    with pytest.raises(cbor.BadCbor):
        cbor.decode(bytes.fromhex(written))


def test_is_read_up_to_a_depth_and_only_where_all_of_its_bytes_are_there() -> None:
    assert cbor.decode(bytes.fromhex("81" * cbor.DEPTH_MAX + "00")) == [[[[[[[[0]]]]]]]]
    with pytest.raises(cbor.BadCbor, match="end within a string"):
        cbor.first(bytes.fromhex("4201"))
