"""The offline audit verifier: an export, the log's checkpoints and its public key in, a verdict out.

    python -m core.audit.verifier EVENTS.jsonl --checkpoints FILE --key FILE
        [--witness-key FILE]... [--witness FILE]... [--start FILE] [--leaves FILE]
        [--logs FILE --log-keys FILE [--cold-keys FILE] [--lines LOG PLACE]... [--words FILE]]

EVENTS.jsonl holds one event per line, the canonical text exactly as it was sealed, in leaf order. What was
  written past the application may hold line breaks: it stands as `=` and the base64 of its bytes. No other
  event does, so none hides there from who reads the file.
FILE of --checkpoints holds signed notes one after the other, smallest tree first, with empty lines between.
FILE of --key holds one verifier key (`name+hash+base64`); the name is the log's origin. Have it from the
  ceremony that made it: one that comes with the export vouches for whatever the export says.
FILE of --witness-key holds a witness's verifier key, from that witness: it must have cosigned the last
  checkpoint. Then no history was signed anew with the log's stolen key, unless the witness's was stolen too.
  Give the keys of all: whoever has the log's could have shown each witness a history of its own.
  A line of that key which is wrong is an error, as in C2SP's signed-note; other keys' lines are passed over.
FILE of --witness holds what a witness last saw, from that witness (its `GET /seen`): lines with `size root`,
  in base64, and the log's name behind or not. Then nothing was cut off behind, here and in the other logs of
  --logs. Size and root of an earlier verdict are such a memory as well: your own. Give keys and memories:
  without a witness nobody can tell a log that was cut back or rewritten from a younger, honest one.
FILE of --start holds the tree in front of an export that does not begin with the first event: its size, and
  the roots of its perfect subtrees, one per line. They are checked against the checkpoint of that size. The
  verdict says by when a witness had seen what lies in front: what was sealed later is in the export. A time
  behind the one that you asked from means that events of yours may lie in front.
FILE of --leaves holds the leaf hashes of the export's events as they were sealed, 32 bytes each; without it,
  `leaves.bin` beside EVENTS.jsonl is taken, where there is one: exports hold it. They need no trust, since
  the signed roots prove them. With them the first event that is not the sealed one is named exactly. Only
  where they are missing, or were changed as well, a span is named: the events that one checkpoint added.
FILE of --logs holds the newest heads of other logs (the signers', the approver's, the vault's) as signed
  notes; FILE of --log-keys holds a line for each log that begins with its verifier key. Each must have a head
  there that its key signed and every given witness cosigned. The verdict says when: an old head, which hides
  what came after it, holds as well as the newest, unless --witness says that there is more. Of several heads
  of a log the last one counts; those in front of it narrow down which line is bad.
PLACE of --lines holds what a program wrote into the log of that name, from whoever looks after the program:
  its file, or its folder. Every line must stand under the heads, and lead to what witnesses remember; then a
  head may be older than that. What a signer signed, the vault opened and officers signed on the approver page
  is compared with the events: a deed that the audit log does not know (FAIL; where it may lie behind or in
  front of the export, NOTE) was hidden by whoever owns the database; one that only it knows is made up. Lost
  answers, and approvals that the page knows nothing of, are notes.
FILE of --cold-keys holds the keys of signers without a network, as their ceremony noted them, one a line. No
  witness sees their logs: PLACE is then the folder that was carried back from such a signer, with its lines
  and `head.txt`. What an earlier verdict said of that log, given as --witness, shows that nothing was cut off
  since. A signature that the audit log has of a later time than the last line is a note.
FILE of --words is written: each of these lines in plain words.

Exit code 0: every event is under the last checkpoint and every checkpoint holds. 1: something is wrong, and
the first bad event, or line, is named. 2: the files cannot be read. It needs no Django, no database and no
network.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.audit.heads import Times, Wrong, parse_seen, said_when, verify_heads
from core.audit.programs.account import Account
from core.audit.programs.deeds import Findings
from core.audit.verdict import WHOLE, told, verify
from kernel import cosignature, encodings, merkle, note


def _parse_start(text: str) -> merkle.Frontier:
    size, *nodes = text.split()
    if not size.isdecimal():
        raise ValueError("a start file holds a size and roots, one per line")
    roots = tuple(encodings.from_base64_standard(node) for node in nodes)
    # Their bytes shared out otherwise have the same root, and honest events would be blamed for it.
    if any(len(root) != merkle.HASH_BYTES for root in roots):
        raise ValueError("a root of the start file has 32 bytes")
    return merkle.Frontier(int(size), roots)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; the exit code is the verdict."""
    parser = argparse.ArgumentParser(prog="audit-verify", description="Check an audit export offline.")
    parser.add_argument("events", type=Path, help="the events, one canonical text per line")
    parser.add_argument("--checkpoints", type=Path, required=True, help="the signed notes")
    parser.add_argument("--key", type=Path, required=True, help="the log's verifier key")
    many: dict[str, Any] = {"type": Path, "action": "append", "default": []}
    parser.add_argument("--witness-key", **many, help="the key of a witness that must have cosigned")
    parser.add_argument("--witness", **many, help="the size and root that a witness last saw")
    parser.add_argument("--start", type=Path, help="the tree in front of an export of a span")
    parser.add_argument("--leaves", type=Path, help="the leaf hashes, if not in leaves.bin beside the events")
    parser.add_argument("--logs", type=Path, help="the newest cosigned heads of other logs")
    parser.add_argument("--log-keys", type=Path, help="the keys of other logs, one a line")
    parser.add_argument("--cold-keys", type=Path, help="the keys of logs that no witness sees, one a line")
    parser.add_argument("--lines", nargs=2, metavar=("LOG", "PLACE"), action="append", default=[])
    parser.add_argument("--words", type=Path, help="where to write what those lines say")
    options = parser.parse_args(arguments)
    if bool(options.logs) != bool(options.log_keys):
        parser.error("--logs and --log-keys go together: one alone would leave the other logs unseen")
    if (options.lines and not (options.logs or options.cold_keys)) or (options.words and not options.lines):
        parser.error("--lines are read against --logs and --log-keys, or --cold-keys, and told with --words")
    others: list[tuple[note.Checkpoint, Times]] = []
    cold: list[note.Checkpoint] = []
    account, findings = Account(), Findings()
    try:
        key = note.Verifier.parse(options.key.read_text(encoding="utf-8"))
        remembered = [
            seen
            for path in options.witness
            for seen in parse_seen(path.read_text(encoding="utf-8"), by=str(path))
        ]
        keys = [path.read_text(encoding="utf-8") for path in options.witness_key]
        cosigners = [cosignature.Cosigner.parse(text) for text in keys]
        start = _parse_start(options.start.read_text(encoding="utf-8")) if options.start else WHOLE
        kept = options.leaves or options.events.with_name("leaves.bin")
        with contextlib.ExitStack() as files:
            events = files.enter_context(options.events.open("rb"))
            checkpoints = files.enter_context(options.checkpoints.open(encoding="utf-8"))
            leaves = files.enter_context(kept.open("rb")) if options.leaves or kept.is_file() else None
            if options.words:
                words = files.enter_context(options.words.open("w", encoding="utf-8"))
                account.tell = lambda said: words.write(f"{said}\n")
            logs = options.logs.read_text(encoding="utf-8") if options.logs else ""
            others_keys = _keys(options.log_keys) if options.logs else {}
            cold_keys = _keys(options.cold_keys) if options.cold_keys else {}
            if missing := cold_keys.keys() - {name for name, _ in options.lines}:
                raise ValueError(f"--lines has no folder of {', '.join(sorted(missing))}")
            for name, text in options.lines:
                place = Path(text)
                if name in cold_keys:
                    cold.append(account.read_carried(cold_keys[name], place, witnesses=remembered))
                elif name in others_keys:
                    account.read(others_keys[name], place, heads=logs, witnesses=remembered)
                else:
                    raise ValueError(f"--log-keys has no key of {name}")
            verdict = verify(
                events,
                checkpoints=checkpoints,
                key=key,
                witnesses=[seen for seen in remembered if seen.log in ("", key.name)],
                cosigners=cosigners,
                start=start,
                leaves=leaves,
                look=account.deeds.look if options.lines else None,
            )
        if options.logs:
            others = verify_heads(
                logs,
                keys=list(others_keys.values()),
                cosigners=cosigners,
                witnesses=remembered,
                proven=account.counts,
            )
        if options.lines:
            sealed_at = min((at for _, at in verdict.cosigned), default=None)
            sealed_ms = None if sealed_at is None else sealed_at * 1000
            findings = account.deeds.compare(is_whole=not verdict.first, sealed_ms=sealed_ms)
    except Wrong as fault:
        print(f"FAIL {fault}")
        return 1
    except (OSError, ValueError) as error:
        print(f"UNREADABLE {error}", file=sys.stderr)
        return 2
    print(told(verdict))
    nobody = "" if cosigners else "; no witness's key given, so one that was signed anew would pass"
    judged = [(head, f"{said_when(times)}{nobody}") for head, times in others]
    for head, vouched in [*judged, *((head, "; carried here, and seen by no witness") for head in cold)]:
        root = encodings.base64_standard(head.root)
        lines = account.said(head.origin) if options.lines else ""
        print(f"OK {head.origin} at {head.size}, root {root}{vouched}{lines}")
    for line in findings.told():
        print(line)
    if options.lines:
        print(f"{findings.fit} deeds of those programs stand in the audit log as in their own")
    return 1 if findings.faults else 0


def _keys(path: Path) -> dict[str, note.Verifier]:
    """The keys in a file, by the name of the log."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [note.Verifier.parse(line.split()[0]) for line in lines if line.strip()]
    return {key.name: key for key in found}


if __name__ == "__main__":
    sys.exit(main())
