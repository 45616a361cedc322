"""What a limited process does with the bytes of an image: nothing else may touch them."""

from volano.data.formats import pixels


def call(task: str, data: bytes, height: int, width: int, channels: int, fit: str) -> bytes:
    """Return pixels (height, width, channels) as bytes, or the file as it is stored.

    `task` is `load` or `canonical`; the file needs nothing of what follows it.

    Raises: Invalid, TooMuch (see `volano.data.formats.pixels`).
    """
    if task == "canonical":
        return pixels.canonical(data)
    how: pixels.Fit = "letterbox" if fit == "letterbox" else "stretch"
    return pixels.load(data, height, width, channels, how).tobytes()
