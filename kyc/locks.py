"""Claiming rows: the lock that every action begins with. A profile's lock covers all of one customer."""

from __future__ import annotations

from uuid import UUID

from core.refusals import NotFound
from kyc.models import Case, Erasure, KycProfile, ProviderApplicant


def profile(profile_id: UUID) -> KycProfile:
    """The profile with its customer, locked; NotFound."""
    row = (
        KycProfile.objects.select_for_update(of=("self",), no_key=True)
        .select_related("customer")
        .filter(pk=profile_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such customer profile.", target=f"kyc.kycprofile/{profile_id}")
    return row


def applicant(applicant_id: UUID) -> ProviderApplicant:
    """The applicant, locked behind its profile; NotFound."""
    found = ProviderApplicant.objects.filter(pk=applicant_id).values_list("profile_id", flat=True).first()
    if found is None:
        raise NotFound("There is no such applicant.", target=f"kyc.providerapplicant/{applicant_id}")
    owner = profile(found)
    row = ProviderApplicant.objects.select_for_update(no_key=True).get(pk=applicant_id)
    row.profile = owner
    return row


def case(case_id: UUID) -> Case:
    """The case, locked behind its profile; NotFound."""
    found = Case.objects.filter(pk=case_id).values_list("profile_id", flat=True).first()
    if found is None:
        raise NotFound("There is no such case.", target=f"kyc.case/{case_id}")
    owner = profile(found)
    row = (
        Case.objects.select_for_update(of=("self",), no_key=True)
        .select_related("verification")
        .get(pk=case_id)
    )
    row.profile = owner
    return row


def erasure(erasure_id: UUID) -> Erasure:
    """The erasure, locked behind its approval request and in front of the profile; NotFound."""
    row = Erasure.objects.select_for_update(no_key=True).filter(pk=erasure_id).first()
    if row is None:
        raise NotFound("There is no such erasure.", target=f"kyc.erasure/{erasure_id}")
    return row
