"""Secrets at rest: only the right key opens them, only in their place."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.settings import Settings
from greenline.store.vault import InvalidSecretKey, KeyFileExposed, SecretUnreadable, Vault, open_vault

KEY = bytes(range(32))
VAULT = Vault(KEY)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, TEXTS)
def test_what_is_sealed_opens(text: str, context: str) -> None:
    assert VAULT.open(VAULT.seal(text, context), context) == text


def test_the_text_does_not_show_and_no_two_seals_are_alike() -> None:
    first, second = VAULT.seal("EAAtoken", "1"), VAULT.seal("EAAtoken", "1")
    assert b"EAAtoken" not in first
    assert first != second


def test_another_key_or_place_does_not_open() -> None:
    sealed = VAULT.seal("EAAtoken", "number-1")
    with pytest.raises(SecretUnreadable, match="GREENLINE_SECRET_KEY"):
        VAULT.open(sealed, "number-2")
    with pytest.raises(SecretUnreadable):
        Vault(bytes(32)).open(sealed, "number-1")


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        VAULT.open(data, "place")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_noticed(position: int, change: int) -> None:
    sealed = bytearray(VAULT.seal("EAAtoken", "place"))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(SecretUnreadable):
        VAULT.open(bytes(sealed), "place")


@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.b64encode])
def test_the_key_of_the_settings_is_used(encode: Callable[[bytes], bytes], tmp_path: Path) -> None:
    key = bytes([251, 255] * 16)
    vault = open_vault(Settings(secret_key=encode(key).decode().rstrip("="), data_dir=tmp_path))
    assert Vault(key).open(vault.seal("x", "c"), "c") == "x"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["short", "ä" * 44, "A" * 44])
def test_a_key_of_another_shape_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSecretKey, match="32 bytes"):
        open_vault(Settings(secret_key=key, data_dir=tmp_path))


def test_a_key_file_is_made_once_for_all_starters(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as starters:
        vaults = list(starters.map(lambda _: open_vault(settings), range(8)))
    sealed = vaults[0].seal("token", "c")
    assert {vault.open(sealed, "c") for vault in vaults} == {"token"}
    assert [file.name for file in settings.data_dir.iterdir()] == ["secret.key"]
    assert (settings.data_dir / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_others_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    open_vault(settings)
    (tmp_path / "secret.key").chmod(0o640)
    with pytest.raises(KeyFileExposed, match="chmod 600"):
        open_vault(settings)


def test_a_vault_shows_nothing_of_its_key() -> None:
    assert repr(VAULT) == "<Vault>"
