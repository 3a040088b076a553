"""An uploaded picture, made anew: decoded, turned upright, made smaller, and written without anything else it carried.

What it is, is read from its bytes; a name or a claimed type is not asked. Runs in a bounded child only.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000  # a phone's largest; a PNG of 70 bytes may claim a thousand times more
MAX_WHOLE_PIXELS = 7_000_000  # what is not a JPEG is decoded in full, several times over, in a container of 256 MB
MIN_SIDE = 200
MAX_SIDE_RATIO = 10
WIDTHS = (1280, 640)
MOST_BYTES = 400 * 1024
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
QUALITIES = (82, 74, 66, 56, 44, 32)


class PictureRefused(Exception):
    """`args[0]` is one word: type, large, small, broken."""


@dataclass(frozen=True, slots=True)
class Variant:
    format: str
    width: int
    height: int
    body: bytes


def variants(upload: bytes) -> list[Variant]:
    """WebP and JPEG in each width, at most 400 KB each. Raises PictureRefused."""
    picture = _decoded(upload)
    made = []
    for width in WIDTHS:
        small = picture.copy()
        small.thumbnail((width, width * 2), Image.Resampling.LANCZOS)
        for name, encoder in (("webp", "WEBP"), ("jpg", "JPEG")):
            made.append(_encoded(small, name, encoder))
        if picture.width <= WIDTHS[-1]:
            break
    return made


def _decoded(upload: bytes) -> Image.Image:
    if not upload.startswith(MAGIC):
        raise PictureRefused("type")
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(upload), formats=FORMATS) as opened:
                if opened.width * opened.height > (MAX_PIXELS if opened.format == "JPEG" else MAX_WHOLE_PIXELS):
                    raise PictureRefused("large")
                if min(opened.size) < MIN_SIDE or max(opened.size) > MAX_SIDE_RATIO * min(opened.size):
                    raise PictureRefused("small")
                opened.draft("RGB", (WIDTHS[0] * 2, WIDTHS[0] * 2))  # a JPEG is decoded no larger than it is needed
                opened.load()
                opened.thumbnail((WIDTHS[0] * 2, WIDTHS[0] * 2), Image.Resampling.BOX)  # every copy after it is small
                upright = ImageOps.exif_transpose(opened)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PictureRefused("large") from error
        except UnidentifiedImageError as error:
            raise PictureRefused("type") from error
        except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, OverflowError) as error:
            raise PictureRefused("broken") from error
    return _on_white(upright)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        ground = Image.new("RGB", layer.size, "#ffffff")
        ground.paste(layer, mask=layer.getchannel("A"))
        return ground
    return picture.convert("RGB")


def _encoded(picture: Image.Image, name: str, encoder: str) -> Variant:
    """As good as its size allows; what is all noise is made smaller until it fits."""
    while True:
        for quality in QUALITIES:
            output = io.BytesIO()
            picture.save(output, encoder, quality=quality, optimize=True, progressive=True, method=4)
            if output.tell() <= MOST_BYTES:
                return Variant(name, picture.width, picture.height, output.getvalue())
        picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS)
