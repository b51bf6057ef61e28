"""Django's backend for PostgreSQL with sessions that outlive a request (docs/adr/0052)."""
