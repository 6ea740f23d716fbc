"""Which files are taken, where they lie, and the links to them."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.clock import ManualClock
from greenline.conversations.files import MAX_FILENAME, ConversationFile, clean_filename, file_key
from greenline.conversations.models import EmptyFile, LinkExpired, UnsupportedFile
from greenline.conversations.uploads import detect_type, make_token, open_token
from greenline.store.vault import Vault
from support.journal import BEGIN

FILE = ConversationFile("file_1", "ws_1", "conv_1", "plan.pdf", "application/pdf", 4, b"", BEGIN)


@pytest.mark.parametrize(
    ("data", "declared", "found"),
    [
        (b"\xff\xd8\xff\xe0", "text/html", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", None, "image/png"),
        (b"RIFF\x0a\x00\x00\x0aWEBPVP8 ", "image/webp", "image/webp"),
        (b"GIF89a", None, "image/gif"),
        (b"%PDF-1.4", "application/octet-stream", "application/pdf"),
        ("grüße".encode(), None, "text/plain"),
        (b"a,b", "text/csv; charset=utf-8", "text/csv"),
        (b"{}", "application/json", "application/json"),
        (b"words", "application/octet-stream", "text/plain"),
    ],
)
def test_the_content_tells_the_type(data: bytes, declared: str | None, found: str) -> None:
    assert detect_type(data, declared) == found


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"\x00\x01", "text/plain"),
        (b"\xe9", "text/plain"),
        (b"PK\x03\x04", "application/zip"),
        (b"words", "image/png"),
        (b"RIFF\x0a\x00\x00\x0aWAVEfmt ", "audio/wav"),
    ],
)
def test_other_content_is_refused(data: bytes, declared: str) -> None:
    with pytest.raises(UnsupportedFile):
        detect_type(data, declared)


def test_nothing_is_no_file() -> None:
    with pytest.raises(EmptyFile):
        detect_type(b"", "text/plain")


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("plan.pdf", "plan.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\plan.pdf", "plan.pdf"),
        ("a\r\nb\x00\u202egpj.exe", "ab\N{REPLACEMENT CHARACTER}gpj.exe"),
        ("", "file"),
        ("..", "file"),
        ("Übersicht 2026.txt", "Übersicht 2026.txt"),
    ],
)
def test_names_are_shown_and_never_followed(given_name: str, kept: str) -> None:
    assert clean_filename(given_name) == kept


@given(st.text())
def test_any_name_becomes_one_that_can_be_shown(name: str) -> None:
    kept = clean_filename(name)
    assert 0 < len(kept) <= MAX_FILENAME
    assert not {"/", "\\", "\0"} & set(kept)
    assert len(kept.splitlines()) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a.b", "ä", "x" * 200])
def test_only_ids_become_keys(name: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        file_key("ws_1", name)
    with pytest.raises(ValueError, match="not an id"):
        file_key(name, "file_1")


@pytest.fixture
def vault() -> Vault:
    return Vault(secrets.token_bytes(32))


def test_a_link_opens_its_file_for_a_quarter_of_an_hour(vault: Vault, clock: ManualClock) -> None:
    token = make_token(vault, clock, FILE)
    clock.advance(timedelta(minutes=15))
    assert open_token(vault, clock, token, "conv_1", "file_1") == "ws_1"
    clock.advance(timedelta(seconds=1))
    with pytest.raises(LinkExpired):
        open_token(vault, clock, token, "conv_1", "file_1")


def test_a_link_opens_nothing_else(vault: Vault, clock: ManualClock) -> None:
    token = make_token(vault, clock, FILE)
    others = [make_token(vault, clock, replace(FILE, id="file_2")), token[:-2], f"{token}a", "", "ü", "=", "a" * 999]
    for other in others:
        with pytest.raises(LinkExpired):
            open_token(vault, clock, other, "conv_1", "file_1")
    with pytest.raises(LinkExpired):
        open_token(vault, clock, token, "conv_2", "file_1")
    with pytest.raises(LinkExpired):
        open_token(Vault(secrets.token_bytes(32)), clock, token, "conv_1", "file_1")
