"""Pure rules that the web tier, the signer, the approver and the audit verifier must agree on.

No Django, no input or output, no clock. Every function takes values and gives a value or a named error.
"""
