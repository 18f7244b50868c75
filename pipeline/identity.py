"""Customers are known inside by a keyed hash only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

_BLANK: Final = frozenset(
    ("", "anonymous", "unknown", "unavailable", "restricted", "private", "withheld", "none", "null")
)
_KEY_BYTES: Final = 32
_LEAST_BYTES: Final = 16


class CustomerKeys:
    """Turns what a platform calls a customer into a ``customer_key``.

    The key is an HMAC-SHA256 cut to 128 bits: without the secret nobody can try numbers out.
    """

    def __init__(self, secret: bytes) -> None:
        self._mac = hmac.new(secret, digestmod=hashlib.sha256)

    def key(self, customer: str | None, kind: str | None = None, channel: str = "") -> str | None:
        """The key of ``customer``; None for blanks, which never link contacts.

        With its ``kind``, a phone is the same however it is written, and a user is one of
        ``channel`` only: another person may have that name on another.
        """
        name = (customer or "").strip().casefold()
        if name not in _BLANK and kind == "phone":
            name = _phone(name)
        if name in _BLANK:
            return None
        if kind == "user":
            name = f"{channel}:{name}"
        mac = self._mac.copy()
        mac.update(name.encode())
        return mac.hexdigest()[:32]


def _phone(text: str) -> str:
    """A number without what people put between digits; ``00`` at its beginning is ``+``."""
    digits = "".join(character for character in text if character.isdecimal())
    if text.startswith("+"):
        return f"+{digits}" if digits else ""
    return f"+{digits[2:]}" if digits.startswith("00") else digits


class IdentityKeyError(ValueError):
    """There is no usable identity key."""


def read_key(path: Path) -> bytes:
    """The secret kept in ``path``.

    Raises:
        IdentityKeyError: there is no such file, or it does not hold a key.
    """
    try:
        return parse_key(path.read_text("ascii"))
    except FileNotFoundError as error:
        raise IdentityKeyError(
            f"there is no identity key in {path}; make one with `cxstream keys make {path}` and"
            " give the same to every worker"
        ) from error
    except ValueError as error:
        raise IdentityKeyError(f"{path} does not hold a key in hexadecimal digits") from error


def parse_key(text: str) -> bytes:
    """A secret from hexadecimal digits.

    Raises:
        IdentityKeyError: it is something else, or too short.
    """
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError as error:
        raise IdentityKeyError("the identity key is not in hexadecimal digits") from error
    if len(secret) < _LEAST_BYTES:
        raise IdentityKeyError(
            f"the identity key has {len(secret)} bytes, {_LEAST_BYTES} or more are needed"
        )
    return secret


def make_key(path: Path) -> None:
    """Make a secret in ``path``, readable by its owner only.

    Raises:
        FileExistsError: something is there already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secrets.token_bytes(_KEY_BYTES).hex() + "\n", "ascii")
