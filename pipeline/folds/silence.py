"""How long a contact may be silent before its end is taken as unknown."""

from __future__ import annotations

from typing import Final, NamedTuple

HOUR_MS: Final = 3_600_000
_MESSAGING: Final = frozenset(
    ("web_chat", "wechat", "whatsapp", "facebook", "instagram", "line", "sms")
)


class Silence(NamedTuple):
    """Longest silences, in milliseconds, after which an open contact counts as ended unknown."""

    voice_ms: int = 24 * HOUR_MS
    bot_ms: int = HOUR_MS
    messaging_ms: int = 24 * HOUR_MS
    other_ms: int = 7 * 24 * HOUR_MS

    def of(self, channel: str, *, with_bot: bool) -> int:
        """Longest silence of a contact on ``channel``, shorter while only a bot serves it."""
        if with_bot:
            return self.bot_ms
        if channel == "voice":
            return self.voice_ms
        return self.messaging_ms if channel in _MESSAGING else self.other_ms
