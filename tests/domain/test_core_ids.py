"""Ids ..."""

from __future__ import annotations

import time
import uuid

from core.ids import new_id, new_id_numbers

PIECES = 1_000
"""More than one piece of chance holds."""


def test_are_version_7_of_now_and_all_different() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(PIECES)] + [uuid.UUID(int=number) for number in new_id_numbers(PIECES)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == len(made)
    assert {(found.version, found.variant) for found in made} == {(7, uuid.RFC_4122)}
    assert all(before <= found.int >> 80 <= after for found in made)


def test_have_chance_in_every_other_bit() -> None:
    either, both = 0, 2**80 - 1
    for found in new_id_numbers(PIECES):
        either |= found
        both &= found
    assert either & (2**80 - 1) == (2**80 - 1) & ~(1 << 79) & ~(1 << 62)
    assert both == 0x7 << 76 | 1 << 63


def test_are_what_the_standard_library_makes_of_the_same_bytes() -> None:
    found = new_id()
    same = uuid.UUID(bytes=found.bytes)
    assert (found, hash(found), str(found), found.is_safe) == (same, hash(same), str(same), same.is_safe)
    assert uuid.UUID(str(found)) == found
