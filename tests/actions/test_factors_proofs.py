"""A ceremony that was held …"""

from __future__ import annotations

import pytest
from django.conf import settings

from core import clock
from core.factors import judging
from core.factors.domain import acts
from core.factors.domain.strength import Needs
from core.factors.given import Typed
from kernel import encodings, webauthn
from kernel.webauthn import Assertion
from tests.actions.test_factors_ceremonies import act, answered, asked, last_event, touched
from tests.officers import Staff

pytestmark = pytest.mark.django_db


def test_can_be_looked_at_again_with_the_log_and_the_public_key_alone(staff: Staff) -> None:
    row, digest = asked(staff.ana, act()), act()
    assert answered(staff.ana, row, touched(staff.ana, row, digest), digest).fault == ""
    said = last_event()["after"]
    assertion = Assertion(
        *(encodings.from_base64url(said[name]) for name in ("authenticator_data", "client_data", "signature"))
    )
    public_key = bytes.fromhex(staff.ana.key.public_key_hex)

    def verified(digest: str) -> None:
        webauthn.verify(
            assertion,
            public_key=public_key,
            challenge=acts.challenge(bytes.fromhex(said["nonce"]), bytes.fromhex(digest)),
            origin=settings.CONSOLE_ORIGIN,
            rp_id=judging.rp_id(),
        )

    verified(said["digest"])
    with pytest.raises(webauthn.BadAssertion):
        verified(act(route="reject").hex())
    # A code leaves none behind: what it confirms moves no money.
    row = asked(staff.ana, digest, needs=Needs.ACT)
    typed = Typed(staff.ana.app.code(clock.now().timestamp()))
    assert answered(staff.ana, row, typed, digest, needs=Needs.ACT).fault == ""
    assert "signature" not in last_event()["after"]
