"""The lines of the console's URLs about colleagues and about oneself: staff, elevations, emergencies,
authenticators.
"""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern

from backoffice.console.lines import act, screen
from backoffice.console.views import authenticators, elevations, emergencies, sessions, staff
from core.access.permissions import Permission as Access
from core.factors.domain.strength import Needs
from core.factors.permissions import Permission as Factors

PEOPLE: Final[list[URLPattern]] = [
    screen("staff/", Access.SEE_STAFF, staff.index, "staff"),
    act("staff/join", Access.PROPOSE_STAFF, staff.join, "join", step_up=Needs.ACT),
    screen("staff/elevations/", Access.SEE_STAFF, elevations.index, "elevations"),
    act("staff/elevations/ask", Access.ASK_ELEVATION, elevations.ask, "ask_elevation", step_up=Needs.ACT),
    screen("staff/elevations/<uuid:grant>/", Access.SEE_STAFF, elevations.show, "elevation"),
    act("staff/elevations/<uuid:grant>/end", Factors.OWN, elevations.end, "end_elevation"),
    screen("staff/<uuid:person>/", Access.SEE_STAFF, staff.show, "person"),
    act(
        "staff/<uuid:person>/end-sessions",
        Access.SUSPEND_STAFF,
        sessions.end_theirs,
        "end_their_sessions",
        step_up=Needs.ACT,
    ),
    act("staff/<uuid:person>/accounts", Access.SEE_STAFF, staff.declare_account, "declare_account"),
    act("staff/<uuid:person>/suspend", Access.SUSPEND_STAFF, staff.suspend, "suspend", step_up=Needs.ACT),
    act(
        "staff/<uuid:person>/propose",
        Access.PROPOSE_STAFF,
        staff.propose,
        "propose_change",
        step_up=Needs.ACT,
    ),
    act(
        "staff/<uuid:person>/authenticators/<uuid:factor_id>/take",
        Access.SUSPEND_STAFF,
        staff.take_factor,
        "take_factor",
        step_up=Needs.ACT,
    ),
    act(
        "staff/<uuid:person>/passkeys/<uuid:credential>/take",
        Access.SUSPEND_STAFF,
        staff.take_passkey,
        "take_passkey",
        step_up=Needs.ACT,
    ),
    screen("emergencies/", Factors.OWN, emergencies.index, "emergencies", before_entering=True),
    act(
        "emergencies/ask",
        Factors.OWN,
        emergencies.ask,
        "ask_glass",
        step_up=Needs.SEALED,
        before_entering=True,
    ),
    act(
        "emergencies/<uuid:glass_id>/second",
        Factors.OWN,
        emergencies.second,
        "second_glass",
        step_up=Needs.SEALED,
        before_entering=True,
    ),
    act("emergencies/<uuid:glass_id>/end", Factors.OWN, emergencies.end, "end_glass", before_entering=True),
    act(
        "emergencies/keys/begin",
        Access.PROPOSE_STAFF,
        emergencies.begin_key,
        "begin_sealed",
        step_up=Needs.ACT,
    ),
    act("emergencies/keys/propose", Access.PROPOSE_STAFF, emergencies.propose_key, "propose_sealed"),
    act(
        "emergencies/keys/<uuid:factor_id>/take",
        Access.SUSPEND_STAFF,
        emergencies.take_key,
        "take_sealed",
        step_up=Needs.ACT,
    ),
    screen("authenticators/", Factors.OWN, authenticators.index, "authenticators", before_entering=True),
    act(
        "authenticators/code",
        Factors.OWN,
        authenticators.begin_code,
        "begin_code",
        step_up=Needs.ENROL,
        before_entering=True,
    ),
    act(
        "authenticators/code/<uuid:factor_id>",
        Factors.OWN,
        authenticators.propose_code,
        "propose_code",
        before_entering=True,
    ),
    act(
        "authenticators/passkey",
        Factors.OWN,
        authenticators.begin_passkey,
        "begin_passkey",
        step_up=Needs.ENROL,
        before_entering=True,
    ),
    act(
        "authenticators/passkey/propose",
        Factors.OWN,
        authenticators.propose_passkey,
        "propose_passkey",
        before_entering=True,
    ),
    act(
        "authenticators/signing",
        Factors.OWN,
        authenticators.begin_signing,
        "begin_signing",
        step_up=Needs.ENROL,
    ),
    screen("authenticators/signing/<uuid:registration_id>/", Factors.OWN, authenticators.signing, "signing"),
    act(
        "authenticators/signing/<uuid:registration_id>/propose",
        Factors.OWN,
        authenticators.propose_signing,
        "propose_signing",
    ),
    act(
        "authenticators/signing/<uuid:credential>/end", Factors.OWN, authenticators.end_signing, "end_signing"
    ),
    act("authenticators/<uuid:factor_id>/end", Factors.OWN, authenticators.end, "end_factor"),
]
