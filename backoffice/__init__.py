"""The Django project and the staff console."""

# Every process that queues tasks needs the application, not only the worker: without it Celery would turn to
# a broker of its own choosing.
from backoffice.celery import app as celery_app

__all__ = ["celery_app"]
