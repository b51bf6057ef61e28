"""Rows that are written many at a time ..."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.access.models import Identity
from core.copying import Among, array, copy_rows
from core.ids import new_id

pytestmark = pytest.mark.django_db

COLUMNS = {
    "words": "text",
    "numbers": "numeric",
    "moments": "timestamptz",
    "truths": "boolean",
    "ids": "uuid",
}
ODD = ["", " ", "\\N", "NULL", "null", '"', "\\", "{a,b}", "\t\n\r", "a\\tb", "é\u2028", "\\."]


class Word(StrEnum):
    LIVE = "live"


@pytest.fixture(autouse=True)
def table(db: None) -> None:
    with connection.cursor() as cursor:
        names = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        cursor.execute(f"CREATE TABLE copied (row serial, {names})")


def stored() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM copied ORDER BY row")
        found = [tuple(row) for row in cursor.fetchall()]
        cursor.execute("TRUNCATE copied")
    return found


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))) | st.sampled_from(ODD)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])
moments = st.builds(
    lambda micros, zone: datetime.fromtimestamp(0, tz=zone) + timedelta(microseconds=micros),
    st.integers(0, 2**52),
    zones,
)
rows = st.lists(
    st.tuples(
        st.none() | texts,
        st.none() | st.integers(-(10**77), 10**77),
        st.none() | moments,
        st.none() | st.booleans(),
        st.none() | st.uuids(),
    ),
    max_size=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_come_back_as_they_were_by_copy_and_by_arrays(given_rows: list[tuple[Any, ...]]) -> None:
    copy_rows("copied", tuple(COLUMNS), given_rows)
    assert stored() == given_rows
    with connection.cursor() as cursor:
        casts = ", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())
        columns = list(zip(*given_rows, strict=True)) or [()] * len(COLUMNS)
        cursor.execute(
            f"INSERT INTO copied ({', '.join(COLUMNS)}) SELECT * FROM unnest({casts})",
            [array(column) for column in columns],
        )
    assert stored() == given_rows


def test_are_written_in_pieces_without_a_seam() -> None:
    many = [("x", number, None, number % 2 == 0, UUID(int=number)) for number in range(1_000)]
    copy_rows("copied", tuple(COLUMNS), many)
    assert stored() == many


def test_take_a_word_of_an_enum_as_its_text() -> None:
    copy_rows("copied", ("words",), [(Word.LIVE,), ("x",)])
    assert [row[0] for row in stored()] == ["live", "x"]


@pytest.mark.parametrize("value", [b"bytes", 1.5, ["list"]])
def test_are_refused_where_they_hold_what_has_no_text(value: Any) -> None:
    with pytest.raises(TypeError, match="not for COPY"):
        copy_rows("copied", ("words",), [(value,)])


def test_are_found_by_one_array_of_ids(now: datetime) -> None:
    made = [
        Identity.objects.create(id=new_id(), kind="customer", email=f"{n}@example.com", created_at=now)
        for n in range(3)
    ]
    wanted = {row.pk for row in made[:2]}
    assert {row.pk for row in Identity.objects.filter(Among(F("pk"), wanted))} == wanted
    assert not Identity.objects.filter(Among(F("pk"), [])).exists()
