"""What Meta takes as a file: every type is looked into."""

import io
import zipfile
from collections.abc import Callable

import av
import pytest
from av import AudioStream

from greenline.emulator.errors import MetaError
from greenline.emulator.media import TYPES, base_type, check_upload, suits
from greenline.emulator.sniffing import is_animated, size_of_webp

OFFICE = "application/vnd.openxmlformats-officedocument."
CFB = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def encoded(container: str, codec: str) -> bytes:
    """A tenth of a second of silence, as FFmpeg writes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48_000, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame(format="s16", layout="mono", samples=4_800)
        frame.planes[0].update(bytes(9_600))
        frame.sample_rate, frame.pts = 48_000, 0
        for part in (frame, None):
            out.mux(stream.encode(part))
    return file.getvalue()


def office(folder: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        packed.writestr(f"{folder}/main.xml", "<x/>")
    return file.getvalue()


def webp(width: int, height: int, *, moves: bool = False, size: int = 0) -> bytes:
    flags = bytes([0x02 if moves else 0x00, 0, 0, 0])
    body = b"VP8X" + (10).to_bytes(4, "little") + flags
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + body + bytes(size)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


GOOD: dict[str, Callable[[], bytes]] = {
    "audio/aac": lambda: encoded("adts", "aac"),
    "audio/amr": lambda: b"#!AMR\n\x3c" + bytes(31),
    "audio/mpeg": lambda: encoded("mp3", "libmp3lame"),
    "audio/mp4": lambda: encoded("mp4", "aac"),
    "audio/ogg": lambda: encoded("ogg", "libopus"),
    "image/jpeg": lambda: b"\xff\xd8\xff\xe0\0\x10JFIF",
    "image/png": lambda: b"\x89PNG\r\n\x1a\n",
    "image/webp": lambda: webp(512, 512),
    "video/mp4": lambda: encoded("mp4", "aac"),
    "video/3gpp": lambda: encoded("3gp", "aac"),
    "text/plain": lambda: "Łódź".encode(),
    "application/pdf": lambda: b"%PDF-1.7",
    "application/msword": lambda: CFB,
    "application/vnd.ms-excel": lambda: CFB,
    "application/vnd.ms-powerpoint": lambda: CFB,
    f"{OFFICE}wordprocessingml.document": lambda: office("word"),
    f"{OFFICE}spreadsheetml.sheet": lambda: office("xl"),
    f"{OFFICE}presentationml.presentation": lambda: office("ppt"),
}


def refusal(mime_type: str, data: bytes) -> int | None:
    try:
        check_upload(mime_type, data)
    except MetaError as error:
        return error.code
    return None


@pytest.mark.parametrize("mime_type", TYPES)
def test_each_type_is_looked_into(mime_type: str) -> None:
    assert refusal(mime_type, GOOD[mime_type]()) is None
    for garbage in (b"", b"garbage\0of no type at all, and long enough"):
        assert refusal(mime_type, garbage) == (None if (mime_type, garbage) == ("text/plain", b"") else 131053)


@pytest.mark.parametrize(
    ("mime_type", "data", "code"),
    [
        ("audio/ogg; codecs=opus", encoded("ogg", "libopus"), None),
        ("audio/ogg", encoded("ogg", "flac"), 131053),
        ("audio/mpeg", encoded("adts", "aac"), 131053),
        ("audio/aac", encoded("mp3", "libmp3lame"), 131053),
        ("video/3gp", encoded("3gp", "aac"), None),
        ("video/3gpp", encoded("mp4", "aac"), 131053),
        (f"{OFFICE}wordprocessingml.document", office("xl"), 131053),
        ("image/webp", webp(511, 512), 131053),
        ("image/webp", webp(512, 512, size=100 * 1024), 131053),
        ("image/webp", webp(512, 512, moves=True, size=100 * 1024), None),
        ("image/webp", webp(512, 512, moves=True, size=500 * 1024), 131053),
        ("image/jpeg", b"\xff\xd8\xff" + bytes(5 * 1024 * 1024), 131053),
        ("image/gif", b"GIF89a", 100),
        ("audio/webm", b"\x1aE\xdf\xa3", 100),
    ],
)
def test_containers_sizes_and_pixels_are_judged(mime_type: str, data: bytes, code: int | None) -> None:
    assert refusal(mime_type, data) == code


def test_every_form_of_webp_tells_its_size() -> None:
    riff = b"RIFF\0\0\0\0WEBP"
    lossless = riff + b"VP8L\0\0\0\0\x2f" + (511 | 319 << 14).to_bytes(4, "little") + bytes(8)
    lossy = riff + b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + (512).to_bytes(2, "little") + (320).to_bytes(2, "little")
    assert size_of_webp(lossless) == size_of_webp(lossy) == (512, 320)
    assert size_of_webp(webp(300, 200)) == (300, 200)
    assert size_of_webp(riff) is None
    assert (is_animated(webp(1, 1, moves=True)), is_animated(webp(1, 1)), is_animated(lossy)) == (True, False, False)


@pytest.mark.parametrize(
    ("mime_type", "kinds"),
    [
        ("image/png", {"image", "document"}),
        ("audio/ogg", {"audio", "document"}),
        ("image/webp", {"sticker", "document"}),
        ("video/mp4", {"video", "document"}),
        ("application/pdf", {"document"}),
        ("image/gif", set()),
    ],
)
def test_a_file_suits_messages_of_its_kind(mime_type: str, kinds: set[str]) -> None:
    assert {kind for kind in ("image", "audio", "sticker", "video", "document") if suits(mime_type, kind)} == kinds
    assert base_type(f"{mime_type.upper()}; x=y") == mime_type
