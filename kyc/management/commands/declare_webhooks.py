"""Declare the providers' webhook endpoints with the secrets of this deployment, and print their addresses."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import clock
from core.operators import operator
from kyc import actions
from kyc.models import Provider


class Command(BaseCommand):
    help = (
        "Writes SUMSUB_WEBHOOK_SECRET and ONFIDO_WEBHOOK_TOKEN (two, comma-separated, while one replaces the "
        "other) to the endpoints, sealed, and prints the address to give to each provider."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        secrets = {
            Provider.SUMSUB: settings.SUMSUB_WEBHOOK_SECRET,
            Provider.ONFIDO: settings.ONFIDO_WEBHOOK_TOKEN,
        }
        for provider, value in secrets.items():
            wanted = [secret for secret in value.split(",") if secret]
            if not wanted:
                self.stderr.write(f"{provider}: no secret is set, so no endpoint was declared")
                continue
            row = actions.declare_endpoint(
                provider=provider, secrets=wanted, actor=operator("declare-webhooks"), now=clock.now()
            )
            self.stdout.write(f"{settings.HOOKS_ORIGIN}/webhooks/kyc/{provider}/{row.pk}")
