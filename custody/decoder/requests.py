"""A request as the approver page puts it into a QR code: what a statement binds, and the payload's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel import canonical, encodings
from kernel.approval import BadStatement, Statement, Verb
from kernel.intent import BadIntent, Intent

_MEMBERS: Final = ("deployment", "kind", "nonce", "payload")


class Unreadable(ValueError):
    """The picture or text holds no request that could be confirmed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One payment that waits for an approval: nothing else is confirmed here."""

    statement: Statement
    intent: Intent

    @classmethod
    def parse(cls, text: str) -> Request:
        """Read the QR code's text strictly; Unreadable."""
        try:
            document = canonical.decode_object(text.strip().encode())
            texts = {name: value for name, value in document.items() if isinstance(value, str)}
            if sorted(document) != sorted(_MEMBERS) or len(texts) != len(_MEMBERS):
                raise Unreadable("this is no request of the approver page")
            payload = encodings.from_base64url(texts["payload"])
            statement = Statement.about(
                payload,
                verb=Verb.APPROVE,
                kind=texts["kind"],
                deployment=texts["deployment"],
                nonce=encodings.from_hex(texts["nonce"]),
            )
            intent = Intent.parse(payload)
        except (canonical.NotCanonical, encodings.BadEncoding, BadStatement, BadIntent) as error:
            raise Unreadable(str(error)) from None
        except UnicodeEncodeError:
            raise Unreadable("this is no text") from None
        if (intent.kind, intent.deployment) != (statement.kind, statement.deployment):
            raise Unreadable("the payload is of another kind or deployment than the request around it")
        return cls(statement, intent)


def text_in(image: Path) -> str:
    """The text of the one QR code in a picture; Unreadable."""
    import zxingcpp  # only where pictures are read: a scanner that types needs no library
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(image) as picture:
            found = zxingcpp.read_barcodes(
                picture.convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
            )
    except (OSError, UnidentifiedImageError) as error:
        raise Unreadable(f"{image}: {error}") from None
    if len(found) != 1:
        raise Unreadable(f"{image}: {len(found)} QR codes were found, and there should be one")
    return str(found[0].text)
