"""The line of an export …"""

from __future__ import annotations

import io

import pytest

from core.audit.export_lines import LINE_BYTES_MAX
from core.audit.heads import Wrong
from core.audit.verdict import verify
from kernel import canonical, encodings
from tests.exports import HEADS, LEAVES, LINES, LOG


@pytest.mark.parametrize("leaves", [LEAVES, None], ids=["with leaf hashes", "without"])
def test_that_is_longer_than_any_events_is_named_and_not_read_to_its_end(leaves: bytes | None) -> None:
    endless = b"".join([*LINES[:6], b"x" * (3 * LINE_BYTES_MAX), b"\n", *LINES[7:]])
    export = io.BytesIO(endless)
    kept = None if leaves is None else io.BytesIO(leaves)
    with pytest.raises(Wrong, match=f"event 6 .*: its line is longer than {LINE_BYTES_MAX} bytes"):
        verify(export, checkpoints=io.StringIO("\n".join(HEADS)), key=LOG, leaves=kept)
    assert export.tell() <= len(b"".join(LINES[:6])) + LINE_BYTES_MAX + 1


def test_is_as_long_as_the_longest_event_may_be_in_any_form() -> None:
    longest = ("\N{GRINNING FACE}" * canonical.LENGTH_MAX).encode()
    assert len("=" + encodings.base64_standard(longest) + "\n") <= LINE_BYTES_MAX
