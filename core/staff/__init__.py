"""Joining, changing roles, leaving: what one person never decides about another alone."""
