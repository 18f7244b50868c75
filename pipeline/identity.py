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


class CustomerKeys:
    """Turns what a platform calls a customer into a ``customer_key``.

    The key is an HMAC-SHA256 cut to 128 bits: without the secret nobody can try numbers out.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _KEY_BYTES // 2:
            raise ValueError(f"the identity key has {len(secret)} bytes, 16 or more are needed")
        self._mac = hmac.new(secret, digestmod=hashlib.sha256)

    def key(self, customer: str | None) -> str | None:
        """The key of ``customer``; None for blanks, which never link contacts."""
        name = (customer or "").strip().casefold()
        if name in _BLANK:
            return None
        mac = self._mac.copy()
        mac.update(name.encode())
        return mac.hexdigest()[:32]


def load_or_make_key(path: Path) -> bytes:
    """The secret kept in ``path``; made there, readable by its owner only, if it is not yet."""
    try:
        return bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        secret = secrets.token_bytes(_KEY_BYTES)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secret.hex() + "\n", "ascii")
        return secret
    except ValueError as error:
        raise ValueError(f"{path} does not hold a key in hexadecimal digits") from error
