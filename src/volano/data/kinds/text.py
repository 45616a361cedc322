"""Text: UTF-8 of any length up to 20 MB."""

from volano.data.kinds.kind import Kind, Preview, Reading, rate, text_document
from volano.schemas.data import Quality
from volano.schemas.datasets import Facts, TextUnreadable

MEDIA_TYPE = "text/plain; charset=utf-8"
_BOM = b"\xef\xbb\xbf"
_SHOWN = 2_000  # characters of a preview


def read(data: bytes, media_type: str) -> Reading:
    """Read a text, without the mark that some editors put at its beginning.

    Raises: TextUnreadable.
    """
    payload = data.removeprefix(_BOM)
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextUnreadable(position=error.start, reason=error.reason) from None
    if "\0" in text:
        raise TextUnreadable(position=text.index("\0"), reason="the character NUL")
    facts = {"characters": len(text), "words": len(text.split()), "lines": len(text.splitlines())}
    return Reading(payload, {"media_type": MEDIA_TYPE, **facts})


def preview(payload: bytes, size_px: int) -> Preview:
    """Return the beginning of a text."""
    return Preview(MEDIA_TYPE, payload.decode()[:_SHOWN].encode())


def score(payload: bytes, facts: Facts) -> Quality:
    """Rate a text: there is something in it."""
    words = int(facts.get("words") or 0)
    return rate(("words", 1.0 if words else 0.0, f"{words} words"))


TEXT = Kind(
    name="text",
    media_types=("text/*", "application/json", "application/xml"),
    read=read,
    preview=preview,
    score=score,
    document=text_document,
    is_text=True,
)
