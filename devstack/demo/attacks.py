"""The sixth step's other half: what happens when the web tier itself is hostile."""

from __future__ import annotations

import json

from devstack.demo.scene import Scene
from devstack.demo.story import Story
from devstack.processes.part import PYTHON
from devstack.users import WEB_USERS

_OPEN = "import os, sys; print(os.listdir(sys.argv[1]))"


def run(story: Story, scene: Scene) -> None:
    """Altered transactions at the signers' own sockets, and the token folders from the web's OS users."""
    story.until("the payment is built", lambda: scene.ana.payment_is_built(scene.withdrawal), seconds=60)
    story.says("an attacker", "owns the worker: its OS user, its database role, the real approvals")
    done = scene.stack.run_as("cs-worker", str(PYTHON), "-m", "devstack.demo.attacker", scene.withdrawal)
    story.expect(done.returncode == 0, "every attempt was answered", found=done.stderr[-600:])
    attempts = [json.loads(line) for line in done.stdout.splitlines()]
    for name in dict.fromkeys(row["tried"] for row in attempts):
        rows = [row for row in attempts if row["tried"] == name]
        codes = sorted({row["code"] for row in rows})
        refused = all(row["answer"] == "refused" for row in rows)
        story.expect(refused, f"{name}: refused by {len(rows)} of {len(rows)} signers, {', '.join(codes)}")
    if not scene.stack.accounts.are_separate:
        story.says(
            "this machine", "has one OS user for everything: the token folders are not walled off here"
        )
        return
    for user in sorted(WEB_USERS):
        for token in ("hot-1", "cold-1"):
            folder = str(scene.stack.environment.layout.token(token))
            done = scene.stack.run_as(user, str(PYTHON), "-c", _OPEN, folder)
            denied = done.returncode != 0 and "PermissionError" in done.stderr
            story.expect(denied, f"{user} cannot open the folder of token {token}")
