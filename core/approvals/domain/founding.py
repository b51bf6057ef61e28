"""The policy that every deployment begins with."""

from __future__ import annotations

from typing import Final

from kernel import canonical

FOUNDING: Final[canonical.Value] = {
    "v": 1,
    "version": 1,
    "rules": [
        {
            "name": "what the lane takes",
            "when": [["kind", "is", "custody.withdrawal"], ["lane", "is", "open"], ["risk", "is", "clear"]],
            "unattended": True,
        },
        {
            "name": "payments",
            "when": [["kind", "in", ["custody.withdrawal", "custody.refill", "custody.sweep"]]],
            "teams": {"treasury": 2},
            "rejections": 1,
        },
        {
            "name": "credits",
            "when": [["kind", "is", "custody.adjustment"]],
            "teams": {"officers": 2},
            "rejections": 1,
        },
        {
            "name": "tiers",
            "when": [["kind", "is", "kyc.tier"]],
            "teams": {"officers": 1},
            "rejections": 1,
        },
        {
            "name": "erasures",
            "when": [["kind", "is", "kyc.erasure"]],
            "teams": {"officers": 2},
            "rejections": 1,
        },
        {
            "name": "the staff",
            "when": [
                [
                    "kind",
                    "in",
                    ["staff.join", "staff.grant_role", "staff.restore", "staff.rebind", "staff.add_passkey"],
                ]
            ],
            "teams": {"officers": 2},
            "rejections": 1,
        },
        {
            "name": "authenticators",
            "when": [["kind", "in", ["factors.enrol_passkey", "factors.enrol_code"]]],
            "teams": {"officers": 1},
            "rejections": 1,
        },
        {
            "name": "keys for the safes",
            "when": [["kind", "is", "factors.enrol_sealed"]],
            "teams": {"officers": 2},
            "rejections": 1,
        },
        {
            "name": "letting go",
            "when": [["kind", "in", ["freezes.release", "engine.market_release"]]],
            "teams": {"officers": 2},
            "rejections": 1,
        },
        {
            "name": "fees and price bands",
            "when": [["kind", "in", ["engine.fee_level", "engine.price_band"]]],
            "teams": {"officers": 2},
            "rejections": 1,
        },
    ],
}
"""What every deployment begins with. Acts that no rule names keep the quorum of their own kind; orders to the
signers keep the one that the signers' own registry names.

The lane is open only where that registry gives a wallet one, which takes a quorum of its own.
"""
