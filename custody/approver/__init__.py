"""The page on which officers sign: a small process of its own, on a host of its own.

It imports the kernel and nothing else of ours. It serves a handful of files, says which deployment, console
and relying party they belong to, and writes down each signature before the console sees it. What is signed,
the browser decodes and computes itself, so a console that lies about a request gains nothing, and signers
accept assertions from this origin only. On a second page officers make the passkeys with which they sign; it
shows each key's fingerprint, by which people know it again wherever the console has carried it.
"""
