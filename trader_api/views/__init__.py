"""Endpoints, by noun. Each parses, calls one action or query or the engine, and renders rows."""
