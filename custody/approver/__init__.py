"""The page on which officers sign: a small process of its own, on a host of its own.

It imports nothing of ours, holds no secret and keeps no state: it serves a handful of files and says which
deployment, console and relying party they belong to. What is signed, the browser decodes and computes itself,
so a console that lies about a request gains nothing, and signers accept assertions from this origin only.
"""
