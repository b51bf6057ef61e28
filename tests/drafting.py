"""Drafts of registries as tests need them: one that has everything, a draft of the next, and new keys."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from custody.signer import drafts
from fixtures.authenticator import Authenticator
from kernel import canonical, registration
from kernel.registry import Registry
from tests.cast import NOW
from tests.customers import SITE, section
from tests.recoveries import KEYS, RAE, ROS, RUI
from tests.softkeys import SoftKey
from tests.softtoken import hot_registry, keys_of
from tests.vault import BEN, DECODERS
from tests.watchers import section as witnesses

RIA = "01900000-0000-7000-8000-0000000000e5"
KEY = Authenticator("55" * 32).public_key_hex
PAPER = registration.fingerprint(bytes.fromhex(KEY))

draft = partial(drafts.draft, now=NOW)


def in_force(**changes: Any) -> Registry:
    """A registry that has everything which a registry can have."""
    back = {who: {"name": who[-2:], "public_key": KEYS[who].public_key_hex} for who in (RAE, RUI, ROS)}
    rule = {"name": "all", "when": [["kind", "is", "custody.withdrawal"]], "teams": {"treasury": 1}}
    plain = json.loads(hot_registry().encoded)
    plain["officers"][BEN]["decoder_key"] = DECODERS[BEN].public_key().public_bytes_raw().hex()
    members = {
        "officers": plain["officers"],
        "lanes": {"hot": section()},
        "customers": SITE,
        "witnesses": witnesses(),
        "recovery": {"officers": back, "quorum": 2, "delay_s": 3 * 86_400},
        "rules": {"v": 1, "version": 1, "rules": [{**rule, "rejections": 1}]},
        "limits": {
            "payment_units_max": {"hot": "300000000"},
            "intent_life_s": 86_400,
            "registry_delay_s": 3_600,
        },
    }
    return hot_registry(**{**members, **changes})


def records(folder: Path, prefix: str, count: int, *, weak: bool = False) -> str:
    """What `provision` printed for three tokens, as files with commas between."""
    files = []
    for number, token in enumerate(("hot-1", "hot-2", "hot-3")):
        keys = [key.public_key.hex() for key in keys_of(token)]
        keys += [SoftKey(20_000 + 100 * number + place).public_key.hex() for place in range(count)]
        record: dict[str, Any] = {
            "v": 1,
            "type": "provisioned",
            "token": token.replace("hot", prefix),
            "serial": "x",
            "public_keys": keys[-count:] if prefix != "hot" else keys[:count],
            "attributes": {"sensitive": True, "always_sensitive": True, "never_extractable": not weak}
            | {"local": True, "extractable": False, "modifiable": False},
        }
        files.append(folder / f"{record['token']}.json")
        files[-1].write_bytes(canonical.encode(record) + b"\n")
    return ",".join(map(str, files))
