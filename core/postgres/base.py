"""What Django looks for under `core.postgres`: its own backend, which takes sessions and gives them back."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from psycopg import IsolationLevel

from core.postgres import sessions
from core.postgres.sessions import Session, Sessions


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection. SESSIONS in its settings says how many this process may have at once."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A session that rested, or a new one."""
        kept = self._sessions()
        if kept is None:
            return super().get_new_connection(conn_params)
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return kept.take(lambda: sessions.begin(conn_params))

    def _close(self) -> None:
        session = self.connection
        # In a block that is left open Django goes on to hold it, also before the first statement.
        if isinstance(session, Session) and not self.in_atomic_block:
            session.home.give_back(session)
        else:
            super()._close()  # type: ignore[misc]

    def _sessions(self) -> Sessions | None:
        asked = self.settings_dict
        if not asked.get("SESSIONS"):
            return None
        where = tuple(str(asked[name]) for name in ("NAME", "USER", "HOST", "PORT"))
        return sessions.of(where, int(asked["SESSIONS"]))
