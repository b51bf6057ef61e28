"""Answers to messages: each says that something may be moved on; tasks look for themselves whether it can."""
