"""Secrets at rest, in authenticated encryption.

Threat: someone reads the database or a backup of it, or copies a sealed value into another row. AES-256-GCM with
a key that is not in the database answers the first; the context, bound in as associated data, the second.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from greenline.errors import ConfigurationError
from greenline.settings import Settings
from greenline.store.data_dir import make_data_dir

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D 8.2.2: random nonces of 96 bits serve 2^32 secrets under one key
VERSION: Final = b"\x01"
KEY_FILE: Final = "secret.key"


class InvalidSecretKey(ConfigurationError):
    """The key that encrypts secrets is not 32 bytes in url-safe base64. Make one with `openssl rand -base64 32`."""

    code = "invalid_secret_key"


class KeyFileExposed(ConfigurationError):
    """Others can read the key file. Run `chmod 600` on it, and replace the secrets if someone may have read it."""

    code = "key_file_exposed"


class SecretUnreadable(ConfigurationError):
    """A stored secret can't be decrypted: GREENLINE_SECRET_KEY or the key file is not the one it was stored with.

    Put the old key back, or store the secret anew (import the number again).
    """

    code = "secret_unreadable"


class Vault:
    """Seals and opens secrets with one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InvalidSecretKey
        self._cipher = AESGCM(key)
        self._key = key

    def __repr__(self) -> str:
        return "<Vault>"

    def derive(self, purpose: str) -> bytes:
        """32 secret bytes for one purpose, the same for all who have the key; the key can't be had from them."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(self._key)

    def seal(self, text: str, context: str) -> bytes:
        """Encrypt ``text``. ``context`` says whose secret it is (an id) and is needed to open it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), VERSION + context.encode())

    def open(self, sealed: bytes, context: str) -> str:
        """The text that was sealed for ``context``. Raises `SecretUnreadable`."""
        version, nonce, data = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if version != VERSION or len(nonce) != NONCE_BYTES:
            raise SecretUnreadable
        try:
            return self._cipher.decrypt(nonce, data, VERSION + context.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable from None


def open_vault(settings: Settings) -> Vault:
    """The vault with the key of the settings, else of the key file, which is made if there is none.

    Raises `InvalidSecretKey`, or `KeyFileExposed` when others may read the file.
    """
    if settings.secret_key is not None:
        return Vault(_decode(settings.secret_key.get_secret_value()))
    file = settings.data_dir / KEY_FILE
    if not file.exists():
        _make_key_file(file)
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileExposed(f"{KeyFileExposed().message} It is {file.absolute()}.")
    return Vault(_decode(file.read_text()))


def _decode(text: str) -> bytes:
    """Both alphabets of base64 are taken, and the padding may be left out."""
    standard = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecretKey from None


def _make_key_file(file: Path) -> None:
    """Write a key under another name and link it: of two starters one wins, and both read the same whole file."""
    make_data_dir(file.parent)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as output:
            output.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            output.flush()
            os.fsync(output.fileno())
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
