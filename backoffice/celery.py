"""The worker's and the scheduler's Celery application."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["core.outbox", "core.approvals", "custody", "kyc", "engine_bridge"])
app.autodiscover_tasks(["custody"], related_name="price_tasks")
