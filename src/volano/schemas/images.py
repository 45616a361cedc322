"""Images as they arrive, and why one is refused."""

from volano.schemas.errors import Invalid, TooMuch


class UnsupportedImage(Invalid):
    """This is {found}, which is not read here."""

    status = 415
    remedy = "Send JPEG, PNG, WebP, GIF, BMP, TIFF or PPM; {advice}."


class ImageCorrupt(Invalid):
    """The {format} cannot be read: {reason}."""

    remedy = "Copy or download the file again, or open it in a viewer and save it anew."


class ImageTooLarge(TooMuch):
    """The image has {size} bytes, more than {limit}."""

    status = 413
    remedy = "Save it smaller, or as JPEG."


class TooManyPixels(Invalid):
    """The image has too many pixels: {reason}."""

    remedy = "Scale it down, or cut it into pieces."


class ImageTooNarrow(Invalid):
    """The image is {width} x {height} px: one side is more than {limit} times the other."""

    remedy = "Cut it into pieces that are less long."
