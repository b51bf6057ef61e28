"""How a signer says no: a stable code for programs, one sentence for people."""

from __future__ import annotations


class Refused(Exception):
    """The signer will not sign. `code` is stable and starts with SIGNER_; docs/runbooks/signer-refuses.md."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
