"""Cuts files of JSON into records, whatever way the values are laid out.

| layout | records |
| --- | --- |
| one object | the object |
| an array, however large | its elements |
| JSON lines | the lines; a bad line is one bad record, the lines around it are kept |
| objects without line ends, as Firehose writes them | the objects |
| indented objects, one after the other | the objects |
| an indented document that is broken | one bad record: the rest of the file, never pieces of it |

A byte-order mark, CR and blank lines are tolerated; ``open_input`` unpacks gzip. Records are cut
at the structure only: whether one is good UTF-8, or JSON to the letter, is for ``parse`` to say.
Memory is bounded by a window of a few mebibytes.

The text is held as Latin-1, one character a byte, so that offsets are byte offsets and invalid
UTF-8 cannot stop the cutting.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from schemas.platforms.records import Collector, Oversized
from schemas.topics import MAX_RECORD_BYTES

Record = bytes | Oversized

_GZIP_MAGIC: Final = b"\x1f\x8b"
_WINDOW: Final = 4 * MAX_RECORD_BYTES
_BOM: Final = "\xef\xbb\xbf"
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_ONLY_OPENS: Final = re.compile(r"[\[{][\[{ \t\r]*")
_TOKEN: Final = re.compile(r'[\\"{}\[\]\n]')
_MIDDLE: Final = frozenset(',:]}"')
"""Characters that continue a document and begin none."""

_ONE_VALUE: Final = msgspec.json.Decoder(msgspec.Raw)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
# Numbers are not looked at here: an integer of any length is structure like another.
_STRUCTURE: Final = JSONDecoder(parse_int=len, parse_float=len)


def open_input(path: Path) -> BinaryIO:
    """Open a file for ``split``; gzip is told by its first bytes, whatever the name says.

    A damaged gzip file raises ``OSError``, ``EOFError`` or ``zlib.error`` while it is read.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


class _Window:
    """The unread part of a stream: enough text ahead to hold the largest record."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._ended = False
        self._newline = -1
        self.text = ""
        self.at = 0

    def fill(self) -> None:
        """Read on until a whole record of the largest size, or the end of the file, is in sight."""
        if self._ended or len(self.text) - self.at > MAX_RECORD_BYTES:
            return
        pieces, size = [self.text[self.at :]], len(self.text) - self.at
        while size < _WINDOW:
            piece = self._stream.read(_WINDOW - size)
            if not piece:
                self._ended = True
                break
            pieces.append(piece.decode("latin-1"))
            size += len(piece)
        self.text, self.at, self._newline = "".join(pieces), 0, -1

    @property
    def beyond_limit(self) -> bool:
        """Whether more lies ahead than one record may hold."""
        return len(self.text) - self.at > MAX_RECORD_BYTES

    def skip_blank(self) -> bool:
        """Go to the next character that is not blank; False at the end of the file."""
        while True:
            self.fill()
            match = _BLANK.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.text.startswith(_BOM, self.at):
                self.at += len(_BOM)
            elif self.at < len(self.text):
                return True
            elif self._ended:
                return False

    def char(self) -> str:
        """Return the character here, empty at the end of the file."""
        return self.text[self.at : self.at + 1]

    def line_end(self) -> int | None:
        """Where the line ends; None when it is longer than a record may be."""
        if self._newline < self.at:
            found = self.text.find("\n", self.at)
            self._newline = len(self.text) if found < 0 else found
        if self._newline - self.at > MAX_RECORD_BYTES:
            return None
        return self._newline

    def take(self, end: int) -> bytes:
        """Return the text up to ``end`` as bytes and go there."""
        record = self.text[self.at : end].encode("latin-1")
        self.at = end
        return record.rstrip(b" \t\r\n")

    def following(self, place: int) -> str:
        """Return the first character from ``place`` on that is not blank, as far as in sight."""
        match = _BLANK.match(self.text, place)
        found = match.end() if match else place
        return self.text[found : found + 1]

    def take_rest(self, before: bytes = b"") -> Record:
        """Return all that is left of the file as one record, behind what was taken before."""
        rest = Collector()
        rest.add(before)
        self._drain(rest, len(self.text))
        while self._read_on():
            self._drain(rest, len(self.text))
        return rest.finish()

    def take_value(self) -> Record:
        """Return one value too large to be looked at, by its brackets or by the end of its line."""
        value = Collector()
        one_line, brackets = self.line_end() is None, self.char() in "{["
        depth, in_string, skip = 0, False, -1
        while True:
            for token in _TOKEN.finditer(self.text, self.at):
                mark, place = token.group(), token.start()
                if place == skip:
                    continue
                if mark == "\n":
                    if one_line:
                        self._drain(value, place)
                        return value.finish()
                elif mark == "\\":
                    skip = place + 1 if in_string else skip
                elif mark == '"':
                    in_string = not in_string
                elif brackets and not in_string:
                    depth += 1 if mark in "{[" else -1
                    if depth <= 0:
                        self._drain(value, place + 1)
                        return value.finish()
            skip -= len(self.text)
            self._drain(value, len(self.text))
            if not self._read_on():
                return value.finish()

    def _drain(self, into: Collector, end: int) -> None:
        into.add(self.text[self.at : end].encode("latin-1"))
        self.at = end

    def _read_on(self) -> bool:
        piece = self._stream.read(_WINDOW) if not self._ended else b""
        self._ended = not piece
        self.text, self.at, self._newline = piece.decode("latin-1"), 0, -1
        return bool(piece)


def split_json(stream: BinaryIO) -> Iterator[Record]:
    """Cut a file of JSON into its records."""
    window = _Window(stream)
    lines = False  # a line that is a value of its own has been seen
    while window.skip_blank():
        opens = window.char() in "{["
        end = window.line_end()
        if end is not None:
            records = _line_records(window, end)
            if records is not None:
                yield from records
                lines = True
                continue
        if opens and (after := _document_end(window)) is not None and after > (end or 0):
            if _continues(window, after):
                yield window.take_rest()
            else:
                yield from _opened(window.take(after))
        elif end is None:
            yield from _array(window) if window.char() == "[" else (window.take_value(),)
        elif _is_bad_line(window, end, lines):
            yield window.take(end)
        elif window.char() == "[" and window.beyond_limit:
            yield from _array(window)
        elif opens and window.beyond_limit and not _broken_within_limit(window):
            yield window.take_value()
        else:
            yield window.take_rest()


def _line_records(window: _Window, end: int) -> list[bytes] | None:
    """Take the values of this line; None, and nothing taken, when it holds anything else."""
    line = window.text[window.at : end].encode("latin-1").rstrip()
    try:
        _ONE_VALUE.decode(line)
    except (msgspec.DecodeError, RecursionError):
        spans, place = [], window.at
        while place < end and window.text[place] in "{[":
            after = _value_end(window.text, place)
            if after is None or after > end:
                break
            spans.append((place, after))
            match = _BLANK.match(window.text, after, end)
            place = match.end() if match else after
        # What follows good values is told apart by its first character: another value that is
        # longer than the line, or broken, stands for itself; anything else spoils the line.
        if not spans or (place < end and window.text[place] not in "{["):
            return None
        records = [window.text[start:stop].encode("latin-1") for start, stop in spans]
        window.at = place
        return [record for value in records for record in _opened(value)]
    window.at = end
    return _opened(line)


def _opened(value: bytes) -> list[bytes]:
    """Elements of an array; any other value is one record."""
    if value.startswith(b"["):
        try:
            return [bytes(element) for element in _ARRAY.decode(value)]
        except (msgspec.DecodeError, RecursionError):
            return [value]
    return [value]


def _value_end(text: str, start: int) -> int | None:
    """Where the value that begins here ends; None when it is broken or not all in sight."""
    try:
        return _STRUCTURE.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _document_end(window: _Window) -> int | None:
    """Where the document that begins here ends; None when broken, unfinished or too large."""
    end = _value_end(window.text, window.at)
    if end is None or end - window.at > MAX_RECORD_BYTES:
        return None
    return end


def _continues(window: _Window, end: int) -> bool:
    """Whether what follows belongs to the same document, so that its end was a false one."""
    return window.following(end) in _MIDDLE


def _is_bad_line(window: _Window, end: int, lines: bool) -> bool:
    """Tell a bad line among JSON lines from the first line of a broken document."""
    if window.char() not in "{[":
        return lines or window.char() not in _MIDDLE
    line = window.text[window.at : end].rstrip()
    if _ONLY_OPENS.fullmatch(line):
        # No document has an object begin right behind a brace.
        return line.endswith("{") and window.following(end) in {"{", "["}
    if line.startswith("[") and line.endswith(",") and not lines:
        return False
    return lines or any(map(_is_value, window.text[end:].split("\n")))


def _is_value(line: str) -> bool:
    """Whether a line is an object or an array of its own, from its first column on."""
    if not line.startswith(("{", "[")):
        return False
    try:
        _ONE_VALUE.decode(line.encode("latin-1"))
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _broken_within_limit(window: _Window) -> bool:
    """Whether a document is broken, rather than too large to be seen to its end."""
    try:
        _STRUCTURE.raw_decode(window.text, window.at)
    except JSONDecodeError as error:
        # A string cut by the end of the window is told by where it begins.
        unfinished = error.msg.startswith("Unterminated string")
        return not unfinished and error.pos - window.at <= MAX_RECORD_BYTES
    except (ValueError, RecursionError):
        return True
    return False


def _array(window: _Window) -> Iterator[Record]:
    """Take an array larger than a record element by element, in bounded memory."""
    window.at += 1
    if window.skip_blank() and window.char() == "]":
        window.at += 1
        return
    while window.skip_blank():
        end = _document_end(window)
        if end is not None:
            element = window.take(end)
            if not window.skip_blank() or window.char() not in ",]":
                yield window.take_rest(before=element)
                return
            yield element
        elif window.beyond_limit and not _broken_within_limit(window):
            yield window.take_value()
        else:
            break
        if not window.skip_blank() or window.char() not in ",]":
            break
        window.at += 1
        if window.text[window.at - 1] == "]":
            return
    # A file that ends behind a comma has nothing left to show: the bracket stands for it.
    yield window.take_rest() or b"["
