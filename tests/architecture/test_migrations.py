"""The migrations …"""

from __future__ import annotations

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState


def test_bring_every_table_to_what_its_model_says() -> None:
    loader = MigrationLoader(None)  # reads the files alone
    wanted = ProjectState.from_apps(apps)
    changes = MigrationAutodetector(loader.project_state(), wanted).changes(graph=loader.graph)
    assert {app: [str(each) for each in missing] for app, missing in changes.items()} == {}
