"""Pictures of events: what is kept of an upload, where it is shown, and what is refused with a sentence."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import asyncpg
import pytest
from PIL import Image

from tests.rig.tenant import Tenant, Web
from tests.rig.uploads import send
from tests.rig.visitor import Visitor, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


def picture(width: int = 1600, height: int = 900, kind: str = "JPEG", **options: object) -> bytes:
    image = Image.effect_noise((width, height), 60).convert("RGB")
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """68 bytes that say they are a picture of many megapixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


async def test_a_picture_is_shown_small_and_immutable_and_previewed(organizer: Visitor, eyes: Connection) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    exif = Image.Exif()
    exif[0x010E] = "canary-exif"
    exif[0x0112] = 6  # lies on its side
    done = await send(organizer, path, picture(1600, 900, exif=exif) + b"canary-tail<script>", alt="A <b>door</b>")
    assert (done.status, "Changes saved" in done.words) == (200, True)
    slug = await eyes.fetchval("SELECT slug FROM event")
    rows = await eyes.fetch("SELECT format, body FROM media")
    assert sorted(row["format"] for row in rows) == ["jpg", "jpg", "webp", "webp"]
    for row in rows:
        assert len(row["body"]) <= 400 * 1024
        assert b"canary" not in row["body"]
        shown = Image.open(io.BytesIO(row["body"]))
        assert shown.height > shown.width  # upright
    async with visiting(organizer.tenant) as stranger:
        page = await stranger.get(f"/events/{slug}")
        front = await stranger.get("/")
        assert 'alt="A &lt;b&gt;door&lt;/b&gt;"' in page.text
        preview = re.search(r'property="og:image" content="([^"]+)"', page.text)
        assert preview is not None
        assert preview[1].startswith(organizer.tenant.url)
        assert "/media/" in front.text
        async with stranger.session.get(preview[1]) as answer:
            assert answer.status == 200
            assert answer.content_type == "image/jpeg"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            etag = answer.headers["ETag"]
        async with stranger.session.get(preview[1], headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
        assert (await stranger.get(f"/media/{'0' * 64}.jpg")).status == 404
    await send(organizer, path, picture(700, 500, "PNG"))
    assert await eyes.fetchval("SELECT count(*) FROM media") == 4  # the old ones are gone
    await organizer.get(f"{path}/picture")
    assert (await organizer.post(f"{path}/picture/remove")).status == 200
    assert await eyes.fetchval("SELECT count(*) FROM media") == 0


@pytest.mark.parametrize(
    ("mode", "size", "kind"),
    [
        pytest.param("RGB", (8160, 6120), "JPEG", id="a phone's largest"),
        pytest.param("RGBA", (3000, 2250), "PNG", id="3,000 pixels wide with transparency"),
        pytest.param("RGBA", (3000, 2250), "WEBP", id="the same as WebP"),
    ],
)
def test_large_pictures_fit_beside_the_site_of_a_small_plan(mode: str, size: tuple[int, int], kind: str) -> None:
    """In a container of 256 MB a child has 160."""
    output = io.BytesIO()
    Image.new(mode, size, (200, 100, 50, 255)[: len(mode)]).save(output, kind, quality=80)
    code = (
        "import sys\nfrom skep.webapp.bounded import limits, pictures\nlimits.bound_memory(160 * 1024 * 1024)\n"
        "print(len(pictures.variants(sys.stdin.buffer.read())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=output.getvalue(), capture_output=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (b"4\n", b"")


async def test_rubbish_is_refused_with_a_sentence_and_keeps_what_was_there(
    organizer: Visitor, eyes: Connection, web: Web
) -> None:
    path = await organizer.create_event()
    await send(organizer, path, picture(700, 500))
    before = await eyes.fetchval("SELECT variants FROM picture")
    good = picture(800, 600)
    rubbish = {
        "not a JPEG, PNG or WebP": [
            b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
            b"GIF89a" + b"/*" * 400,
            b"%PDF-1.7 \xff\xd8\xff",
            b"RIFF\x00\x00\x00\x00WAVEfmt ",
            b"MZ" + good,
        ],
        "too many pixels": [
            png_that_claims(10_000, 10_000),
            png_that_claims(3000, 3000),
            png_that_claims(2**31 - 1, 2**31 - 1),
        ],
        "damaged or incomplete": [good[: len(good) // 2], png_that_claims(800, 600), b"\xff\xd8\xff" + b"\x00" * 50],
        "too small or too narrow": [picture(50, 50), picture(4000, 220)],
        "larger than 12 MB": [good + b"\x00" * (12 * 1024 * 1024)],
        "Choose a picture file": [b""],
    }
    for said, uploads in rubbish.items():
        for upload in uploads:
            answer = await send(organizer, path, upload)
            assert answer.status == 422, upload[:40]
            assert said in answer.words or (said == "damaged or incomplete" and "not a JPEG" in answer.words), upload[
                :9
            ]
    assert await eyes.fetchval("SELECT variants FROM picture") == before
    assert "Traceback" not in web.log.read_text()


async def test_a_picture_needs_the_sessions_token_and_somebody_signed_in(organizer: Visitor, eyes: Connection) -> None:
    path = await organizer.create_event()
    assert (await send(organizer, path, picture(700, 500), csrf="0" * 64)).status == 403
    async with visiting(organizer.tenant) as stranger:
        assert (await send(stranger, path, picture(700, 500), csrf="x")).path == "/organizer/sign-in"
    assert await eyes.fetchval("SELECT count(*) FROM media") == 0


async def test_a_plans_space_is_a_limit_that_says_what_to_do(tenant: Tenant, eyes: Connection) -> None:
    tenant.settings["settings"]["MEDIA_MB"] = "0"
    tenant.write()
    async with tenant.running(), visiting(tenant) as organizer:
        await organizer.become_organizer()
        path = await organizer.create_event()
        answer = await send(organizer, path, picture(700, 500))
        assert answer.status == 422
        assert "ask for a larger plan" in answer.words
    assert await eyes.fetchval("SELECT count(*) FROM media") == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "CMYK", "I;16"])
async def test_every_kind_of_pixel_becomes_a_picture(organizer: Visitor, mode: str) -> None:
    path = await organizer.create_event()
    image = Image.new("L", (400, 300), 128)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    output = io.BytesIO()
    image.save(output, "JPEG" if mode == "CMYK" else "PNG")
    assert (await send(organizer, path, output.getvalue())).status == 200
