"""What a browser's fake camera sees: a file with one picture, written anew to hold something else before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

WIDTH, HEIGHT = 640, 480
HEAD = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420\n".encode()


class Camera:
    """`arguments` for chromium; `show` a code, or nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.show(None)

    @property
    def arguments(self) -> tuple[str, ...]:
        return (
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={self.path}",
            "--use-fake-ui-for-media-stream",
        )

    def show(self, code: str | None) -> None:
        """The browser reads the file again and again: the same length in the same place is the next picture."""
        luma = picture(code).tobytes()
        grey = bytes([128]) * (WIDTH * HEIGHT // 2)
        content = HEAD + b"FRAME\n" + luma + grey
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.write(content)


def picture(code: str | None) -> Image.Image:
    """A ticket held before the camera, a little askew."""
    image = Image.new("L", (WIDTH, HEIGHT), 90)
    if code is None:
        return image
    drawn: Any = QRCode(None, QRErrorCorrectLevel.M)
    drawn.addData(code)
    drawn.make()
    side = drawn.getModuleCount()
    unit = 300 // side
    paper = Image.new("L", (unit * (side + 8), unit * (side + 8)), 235)
    pen = ImageDraw.Draw(paper)
    for y in range(side):
        for x in range(side):
            if drawn.isDark(y, x):
                left, top = (x + 4) * unit, (y + 4) * unit
                pen.rectangle((left, top, left + unit - 1, top + unit - 1), fill=25)
    turned = paper.rotate(7, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=90)
    image.paste(turned, ((WIDTH - turned.width) // 2, (HEIGHT - turned.height) // 2))
    return image
