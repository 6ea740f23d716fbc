"""Whether bytes are of the type that they are said to be, as far as their first ones tell. Pure.

Signatures: RFC 3533 (Ogg), RFC 7845 (Opus), RFC 4867 (AMR), ISO 13818-7 (ADTS), ISO 11172-3 and id3.org (MP3),
ISO 14496-12 (``ftyp``), RFC 9649 (WebP), PKWARE's APPNOTE (ZIP, of which Office's newer files are made) and MS-CFB
(the older ones).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_CFB: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."


def complaint(mime_type: str, data: bytes) -> str | None:
    """What is wrong with the bytes for a base type that Meta takes; None if nothing is."""
    if not _LOOKS_LIKE[mime_type](data):
        return f"The file is no {mime_type}."
    if mime_type == "audio/ogg":
        return _no_voice(data)
    if mime_type == "image/webp" and size_of_webp(data) != (512, 512):
        return "A sticker must have 512 x 512 pixels."
    return None


def is_animated(webp: bytes) -> bool:
    """Whether a WebP says that it moves (RFC 9649, 2.7: the flags of ``VP8X``)."""
    return webp[12:16] == b"VP8X" and len(webp) > 20 and bool(webp[20] & 0x02)


def size_of_webp(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels (RFC 9649, 2.5 to 2.7); None for what can't be read."""
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None


def _no_voice(data: bytes) -> str | None:
    head = data.find(b"OpusHead", 0, 4096)
    if head < 0 or len(data) < head + 10:
        return "audio/ogg must hold Opus."
    return None if data[head + 9] == 1 else "audio/ogg must be mono."


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(signatures)


def _is_box(*brands: bytes) -> Callable[[bytes], bool]:
    """An ISO media file, of one of these brands if any are named."""
    return lambda data: data[4:8] == b"ftyp" and (not brands or data[8:12].startswith(brands))


def _is_zip_with(folder: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(b"PK\x03\x04") and folder in data


_is_adts: Final = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]|ADIF").match
_is_mp3: Final = re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]").match

_LOOKS_LIKE: Final[dict[str, Callable[[bytes], object]]] = {
    "audio/aac": _is_adts,
    "audio/amr": _begins(b"#!AMR\n", b"#!AMR-WB\n"),
    "audio/mpeg": _is_mp3,
    "audio/mp4": _is_box(),
    "audio/ogg": _begins(b"OggS"),
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/webp": lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    "video/mp4": _is_box(),
    "video/3gpp": _is_box(b"3g"),
    "text/plain": lambda data: b"\0" not in data[:4096],
    "application/pdf": _begins(b"%PDF-"),
    "application/msword": _begins(_CFB),
    "application/vnd.ms-excel": _begins(_CFB),
    "application/vnd.ms-powerpoint": _begins(_CFB),
    f"{_OFFICE}wordprocessingml.document": _is_zip_with(b"word/"),
    f"{_OFFICE}spreadsheetml.sheet": _is_zip_with(b"xl/"),
    f"{_OFFICE}presentationml.presentation": _is_zip_with(b"ppt/"),
}
