"""Exports for the offline verifier: events in leaf order, and every checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.audit.models import AuditCheckpoint, AuditLeaf
from kernel import note


def sealed_texts() -> Iterator[str]:
    """The canonical text of each sealed event, in leaf order."""
    rows = AuditLeaf.objects.order_by("index").values_list("event__canon", flat=True)
    return rows.iterator(chunk_size=5000)


def checkpoint_notes() -> Iterator[str]:
    """Each signed note, smallest tree first."""
    return AuditCheckpoint.objects.order_by("size").values_list("note", flat=True).iterator()


def write(folder: Path, verifier: note.Verifier) -> tuple[Path, Path, Path]:
    """Write `events.jsonl`, `checkpoints.txt` and `key.txt` into the folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    events, checkpoints, key = folder / "events.jsonl", folder / "checkpoints.txt", folder / "key.txt"
    with events.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(text + "\n" for text in sealed_texts())
    with checkpoints.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(checkpoint_notes()))
    key.write_text(f"{verifier}\n", encoding="utf-8")
    return events, checkpoints, key
