"""The signer: one process and one OS user per token, the only holder of that token's session.

It takes whole transactions with their approved intents, decides by its own pinned registry, its own clock and
its own memory, and signs or refuses. It imports nothing of ours but `kernel`, and no web framework.
"""
