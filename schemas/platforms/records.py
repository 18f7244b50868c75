"""Records of a file: what is cut out, how large it may be, and the cutting at line ends."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

import msgspec

from schemas.topics import MAX_RECORD_BYTES

HEAD_BYTES: Final = 65_536
_BOM: Final = b"\xef\xbb\xbf"


class Oversized(NamedTuple):
    """A record beyond 1 MiB: no topic takes it, so only what identifies it is kept."""

    head: bytes
    """Its first 64 KiB."""
    size: int
    """Its length in bytes."""
    sha256: str
    """Hash of all of it, hexadecimal."""


class Collector:
    """Takes a record in pieces, in memory bounded by the largest record allowed."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        self._size += len(piece)
        self._hash.update(piece)
        if self._size <= MAX_RECORD_BYTES:
            self._kept += piece
        elif len(self._kept) < HEAD_BYTES:
            self._kept += piece[: HEAD_BYTES - len(self._kept)]
        else:
            del self._kept[HEAD_BYTES:]

    def finish(self) -> bytes | Oversized:
        """Return the record, or what is kept of one that is too large."""
        if self._size <= MAX_RECORD_BYTES:
            return bytes(self._kept)
        return Oversized(bytes(self._kept[:HEAD_BYTES]), self._size, self._hash.hexdigest())


def split_lines(stream: BinaryIO) -> Iterator[bytes | Oversized]:
    """Cut a text file at its line ends; blank lines, CR and a byte-order mark are left out."""
    piece = stream.readline(MAX_RECORD_BYTES).removeprefix(_BOM)
    while piece:
        line = Collector()
        line.add(piece.rstrip(b"\r\n"))
        while piece and not piece.endswith(b"\n"):
            piece = stream.readline(MAX_RECORD_BYTES)
            line.add(piece.rstrip(b"\r\n"))
        record = line.finish()
        if isinstance(record, Oversized) or record.strip():
            yield record
        piece = stream.readline(MAX_RECORD_BYTES)


def split_table(lines: Iterable[bytes | Oversized], delimiter: str) -> Iterator[bytes | Oversized]:
    """Turn the rows of a table, whose first line names the columns, into JSON objects.

    A row that has another number of cells than there are names becomes ``{"row": text}``: it must
    not be taken for one of another table.
    """
    names: list[str] = []
    for line in lines:
        if isinstance(line, Oversized):
            yield line
            continue
        text = _text(line)
        cells = _cells(text, delimiter)
        if not names:
            names = cells
        elif len(cells) != len(names):
            yield msgspec.json.encode({"row": text})
        else:
            yield msgspec.json.encode(dict(zip(names, cells, strict=True)))


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _cells(text: str, delimiter: str) -> list[str]:
    """Cells of one row; none when they are not quoted as they should be."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return []
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else []
