"""URLs of the hooks door. Each delivery proves itself by its provider's signature."""

from django.urls import path

from kyc.api import webhooks

app_name = "hooks"
urlpatterns = [
    path("webhooks/kyc/sumsub/<uuid:endpoint_id>", webhooks.receive, {"provider": "sumsub"}, name="sumsub"),
    path("webhooks/kyc/onfido/<uuid:endpoint_id>", webhooks.receive, {"provider": "onfido"}, name="onfido"),
]
