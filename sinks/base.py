"""What every sink promises its callers, and how it says that it cannot keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class SinkUnavailable(Exception):  # noqa: N818 - a state of the other side, not an error of ours
    """The sink cannot take rows now; the same rows can be offered again after a while.

    Args:
        message: what the sink said.
        delay_seconds: how long to wait at least before the next attempt.
        code: the sink's own error code, None where it did not answer at all.
    """

    def __init__(self, message: str, *, delay_seconds: float, code: int | None = None) -> None:
        super().__init__(message)
        self.delay_seconds = delay_seconds
        self.code = code


class SinkRejected(Exception):  # noqa: N818 - the pair of SinkUnavailable
    """The sink will never take these rows: a bug or a wrong schema.

    The worker must stop and say so. The rows are not at fault, so they are no dead letters.

    Args:
        message: what the sink said.
        code: the sink's own error code, None where the rows did not even reach it.
    """

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Statement(NamedTuple):
    """How encoded rows become rows of a table: what stands before and between them."""

    table: str
    text: str
    between: bytes


class Sink(Protocol):
    """Somewhere rows go. Inserting the same rows again must change nothing."""

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Return once the sink has acknowledged all rows.

        Raises:
            SinkUnavailable: not now; how many rows arrived is unknown.
            SinkRejected: never.
        """

    async def insert_encoded(self, statement: Statement, rows: Sequence[bytes]) -> None:
        """Return once the sink has acknowledged all rows, each encoded as the statement says.

        Raises:
            SinkUnavailable: not now; how many rows arrived is unknown.
            SinkRejected: never.
        """


class SinkObserver:
    """Takes what happens in a sink, for metrics; this one ignores it all."""

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """``rows`` were acknowledged ``seconds`` after they were first offered."""

    def retried(self, table: str, code: int | None, delay_seconds: float) -> None:
        """An attempt failed and is repeated after ``delay_seconds``."""

    def rejected(self, table: str, rows: int, code: int | None) -> None:
        """``rows`` will never be taken."""
