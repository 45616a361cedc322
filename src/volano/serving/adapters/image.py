"""Images: what was sent as the graph takes it and as the log keeps it.

A graph gets `pixels` as training does, by `volano.data.formats.pixels.load`. Decoders written in C
see these bytes only in limited processes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from volano.data import service as data
from volano.data.formats import pixels
from volano.schemas.common import Json
from volano.schemas.errors import Conflict, Invalid, Missing, TooMuch, VolanoError
from volano.schemas.registry import ArtefactRefused, ImageSpec
from volano.schemas.serving import ImageInput, PredictInput, WrongInput
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.compute import WorkerPool
    from volano.core.context import Context
    from volano.schemas.accounts import Who

_MEDIA_TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}
"""Of what is stored, by its first bytes."""


class Picture(NamedTuple):
    """One image of a request, decoded, with the bytes that were sent."""

    pixels: NDArray[np.uint8]
    data: bytes

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """Feeds a graph that takes `pixels` (images, height, width, channels) of 8 bits."""

    spec: ImageSpec

    def check(self, facts: Json) -> None:
        """Warn where images are decoded in another way than when the version was trained.

        Its golden answers, which are checked too, are those of a few images only.
        """
        if facts.get("pixels", pixels.DIGEST) != pixels.DIGEST:
            reason = "images are decoded in another way than in its training: train it anew"
            structlog.get_logger().warning("version.decodes_otherwise", reason=reason)

    async def read(
        self, ctx: Context, who: Who, given: Sequence[PredictInput]
    ) -> list[Picture | VolanoError]:
        """Return each image decoded, or why it cannot be; all of them at once."""
        return list(await asyncio.gather(*(self._read(ctx, who, one) for one in given)))

    async def _read(self, ctx: Context, who: Who, given: PredictInput) -> Picture | VolanoError:
        try:
            sent = given.image
            if given.record is not None:
                sent = await _stored(ctx, who, given.record)
            if sent is None:
                raise WrongInput(takes="an image", given="something else")
            return Picture(await self._pixels(ctx, sent), sent)
        except (Invalid, Missing, Conflict, TooMuch) as error:
            return error

    async def _pixels(self, ctx: Context, sent: bytes) -> NDArray[np.uint8]:
        spec = self.spec
        facts = (spec.height, spec.width, spec.channels, spec.fit)
        decoded = await ctx.part(State).decoders.call("load", sent, *facts)
        return np.frombuffer(decoded, np.uint8).reshape(spec.height, spec.width, spec.channels)

    def feed(self, given: Sequence[Picture]) -> dict[str, NDArray[Any]]:
        """Return images as the graph takes them."""
        return {"pixels": np.stack([one.pixels for one in given])}

    async def golden(self, ctx: Context, given: Any) -> dict[str, NDArray[Any]]:
        """Return a golden input of a version, a file in base64, as the graph takes it.

        Raises: ArtefactRefused.
        """
        try:
            picture = await self._pixels(ctx, base64.b64decode(given, validate=True))
        except (TypeError, binascii.Error, Invalid, TooMuch) as error:
            raise ArtefactRefused(reason=f"a golden input is no image: {error}") from None
        return {"pixels": picture[None]}


async def _stored(ctx: Context, who: Who, id: str) -> bytes:
    record, payload = await data.payload(ctx, who, id)
    if record.kind != "image":
        raise WrongInput(takes="an image", given=f"a record of the kind {record.kind!r}")
    return payload


def shown(payload: bytes) -> ImageInput:
    """Return a logged image as it is shown."""
    return ImageInput(media_type=media_type(payload), bytes=len(payload))


def media_type(payload: bytes) -> str:
    """Return the media type of a stored image."""
    found = (name for start, name in _MEDIA_TYPES.items() if payload.startswith(start))
    return next(found, "application/octet-stream")


async def payloads(decoders: WorkerPool, given: Sequence[Picture]) -> list[bytes]:
    """Return the images as they are stored: without what they tell of people."""
    # One after the other: requests, which wait for the same processes, come first.
    return [await decoders.call("canonical", one.data, 0, 0, 0, "") for one in given]
