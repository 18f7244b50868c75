from __future__ import annotations

import gzip
import hashlib
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.platforms.jsonfile import open_input, split_json
from schemas.platforms.records import HEAD_BYTES, Oversized, split_lines
from schemas.topics import MAX_RECORD_BYTES

PRETTY = b'{\n  "a": 1,\n  "b": [\n    {"c": "}{"}\n  ]\n}'
PADDING = b"x" * 1_200_000


def cut(data: bytes) -> list[bytes | Oversized]:
    return list(split_json(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("data", "records"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b" \r\n\n", [], id="blank"),
        pytest.param(b"[]", [], id="empty array"),
        pytest.param(b'{"a":1}', [b'{"a":1}'], id="one object"),
        pytest.param(PRETTY, [PRETTY], id="one indented object"),
        pytest.param(PRETTY + b"\n" + PRETTY, [PRETTY, PRETTY], id="indented objects"),
        pytest.param(b'[{"a":1},\n {"b":[2]}]', [b'{"a":1}', b'{"b":[2]}'], id="array"),
        pytest.param(b'{"a":1}\n\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="lines"),
        pytest.param(b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}'], id="CRLF"),
        pytest.param(b'{"a":1}\r{"b":2}\r', [b'{"a":1}', b'{"b":2}'], id="CR"),
        pytest.param(
            b'{"a":1}{"b":"}{"}{"c":3}', [b'{"a":1}', b'{"b":"}{"}', b'{"c":3}'], id="run"
        ),
        pytest.param(b'\xef\xbb\xbf{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}'], id="BOM"),
        pytest.param(b'{"a":1}\n\xef\xbb\xbf{"b":2}', [b'{"a":1}', b'{"b":2}'], id="BOM within"),
        pytest.param(PRETTY + b'\n{"x":1}\n{"y":2}', [PRETTY, b'{"x":1}', b'{"y":2}'], id="mixed"),
        pytest.param(b'null\n{"a":1}', [b"null", b'{"a":1}'], id="null line"),
        pytest.param(b'{"a":"\xff"}\n{"b":2}', [b'{"a":"\xff"}', b'{"b":2}'], id="bad UTF-8"),
        pytest.param(b'{"a":NaN}\n{"b":2}', [b'{"a":NaN}', b'{"b":2}'], id="NaN"),
        pytest.param(
            b'{"a":' + b"1" * 5000 + b'}\n{"b":2}',
            [b'{"a":' + b"1" * 5000 + b"}", b'{"b":2}'],
            id="long integer",
        ),
    ],
)
def test_layouts(data, records):
    assert cut(data) == records


@pytest.mark.parametrize(
    ("data", "records"),
    [
        pytest.param(b'{"a":1}\n{"b":\n{"c":3}', [b'{"a":1}', b'{"b":', b'{"c":3}'], id="between"),
        pytest.param(b'{"b":\n{"c":3}\n', [b'{"b":', b'{"c":3}'], id="first"),
        pytest.param(b'{x\n{y\nz\n{"c":3}', [b"{x", b"{y", b"z", b'{"c":3}'], id="first three"),
        pytest.param(b'{"a":1}\n{"b"', [b'{"a":1}', b'{"b"'], id="cut at the end"),
        pytest.param(b'{"a":1} x\n{"b":2}', [b'{"a":1} x', b'{"b":2}'], id="something behind"),
        pytest.param(b'{"a":1}\nhello\n{"b":2}', [b'{"a":1}', b"hello", b'{"b":2}'], id="text"),
        pytest.param(b'{"a":1}\n{\n{"b":2}', [b'{"a":1}', b"{", b'{"b":2}'], id="only a brace"),
        pytest.param(b'{"a":1}{x}{"b":2}', [b'{"a":1}', b'{x}{"b":2}'], id="in a run"),
        pytest.param(
            b'{"t":"\xc2\x85"}\n{x\n{"c":3}', [b'{"t":"\xc2\x85"}', b"{x", b'{"c":3}'], id="NEL"
        ),
    ],
)
def test_a_bad_line_is_one_record_and_its_neighbours_are_kept(data, records):
    assert cut(data) == records


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{\n "a": 1,\n}\n', id="trailing comma"),
        pytest.param(b'{\n "a": 1 // one\n}\n', id="comment"),
        pytest.param(b'{ // first\n "a": 1\n}\n', id="comment in the first line"),
        pytest.param(b'{\n "a": {\n }\n },\n "b": 1\n}\n', id="brace in the wrong place"),
        pytest.param(b'{\n "a": [\n  {"x": 1}\n ],\n}\n', id="a whole object within"),
        pytest.param(b'{"a": [\n  {"x": 1}\n ],}\n', id="a whole object within, begun at once"),
        pytest.param(b'{\n "a": 1\n', id="cut off"),
        pytest.param(b'[\n {"a": 1},\n {"b": 2},\n]\n', id="array with a trailing comma"),
        pytest.param(b'[{"a": 1},\n{"b": 2}\n', id="array cut off"),
        pytest.param(b"[" * 3000 + b"]" * 3000, id="nested too deeply"),
    ],
)
def test_a_broken_document_is_one_record(data):
    assert cut(data) == [data]


def test_what_follows_a_broken_document_goes_with_it():
    assert cut(PRETTY + b"\n{\n 1\n}\n" + PRETTY) == [PRETTY, b"{\n 1\n}\n" + PRETTY]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'{"a":1}\n', b'\n{"c":3}\n'), (b"", b'{"c":3}'), (b'[{"a":1},', b',{"c":3}]')],
)
def test_a_record_beyond_the_limit_is_marked_and_the_rest_is_kept(before, after):
    large = b'{"b":"' + PADDING + b'\\"}"}'
    records = cut(before + large + after)
    marked = Oversized(large[:HEAD_BYTES], len(large), hashlib.sha256(large).hexdigest())
    assert records == [b'{"a":1}'] * bool(before) + [marked, b'{"c":3}']


def test_an_indented_document_beyond_the_limit_is_marked():
    large = b'{\n"b":"' + PADDING * 5 + b'"\n}'
    assert [len(large), b'{"c":3}'] == [
        record.size if isinstance(record, Oversized) else record
        for record in cut(large + b'\n{"c":3}\n')
    ]


def test_a_long_line_that_never_ends_its_text_does_not_swallow_the_next():
    large = b'{"b":"' + PADDING * 5
    first, second = cut(large + b'\n{"c":3}\n')
    assert (first.size, second) == (len(large), b'{"c":3}')


def test_the_largest_record_allowed_is_kept_whole():
    record = b'{"a":"' + b"x" * (MAX_RECORD_BYTES - 8) + b'"}'
    assert len(record) == MAX_RECORD_BYTES
    assert cut(record + b"\n" + record) == [record, record]
    assert isinstance(cut(record[:-2] + b'x"}')[0], Oversized)


OBJECTS = [json.dumps({"i": i, "t": "y" * 400}).encode() for i in range(20_000)]


@pytest.mark.parametrize(
    ("head", "between", "tail"),
    [(b"", b"\n", b"\n"), (b"", b"", b""), (b"[", b",", b"]"), (b"[\n", b",\n", b"\n]\n")],
    ids=["lines", "run", "array", "array of lines"],
)
def test_files_larger_than_the_window(head, between, tail):
    assert cut(head + between.join(OBJECTS) + tail) == OBJECTS


def test_a_large_array_gives_its_elements_up_to_the_broken_one():
    data = b"[" + b",\n".join([*OBJECTS, b"{bad}", OBJECTS[0]]) + b"]"
    records = cut(data)
    assert records[:-1] == OBJECTS
    assert records[-1] == b"{bad},\n" + OBJECTS[0] + b"]"


def test_a_large_array_cut_off_keeps_its_last_element_in_doubt():
    assert cut(b"[" + b",".join(OBJECTS)) == OBJECTS
    assert cut(b"[" + b",".join(OBJECTS) + b",") == [*OBJECTS, b"["]
    assert cut(b"[" + b",".join(OBJECTS) + b",]") == [*OBJECTS, b"]"]


class _Counted(io.BytesIO):
    taken = 0

    def read(self, size=-1, /):
        self.taken += size
        return super().read(size)


def test_cutting_reads_no_further_than_its_window():
    stream = _Counted(b"\n".join(OBJECTS))
    assert next(split_json(stream)) == OBJECTS[0]
    assert stream.taken == 4 * MAX_RECORD_BYTES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.text(), JSON), min_size=1), st.sampled_from(["lines", "run"]))
def test_objects_come_back_as_they_were(objects, layout):
    texts = [json.dumps(item, ensure_ascii=False).encode("utf-8", "replace") for item in objects]
    assert cut((b"\n" if layout == "lines" else b"").join(texts)) == texts
    indented = b"\n".join(json.dumps(item, indent=2).encode() for item in objects)
    assert [json.loads(record) for record in cut(indented)] == objects
    assert [json.loads(record) for record in cut(json.dumps(objects).encode())] == objects


@given(st.binary(max_size=200) | st.text('{}[]",:\\ \n1a', max_size=60).map(str.encode))
def test_no_byte_but_blanks_is_lost(data):
    """Only the brackets and commas of an outer array, blanks and byte-order marks go."""
    kept = b"".join(record for record in cut(data))
    dropped = list(data)
    for byte in kept:
        dropped.remove(byte)
    assert set(dropped) <= set(b" \t\r\n[],\xef\xbb\xbf")


@pytest.mark.parametrize("name", ["log.json", "log.json.gz"])
def test_gzip_is_told_by_its_first_bytes(tmp_path, name):
    plain, packed = tmp_path / "plain.gz", tmp_path / name
    plain.write_bytes(b'{"a":1}')
    packed.write_bytes(gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"b":2}\n'))
    with open_input(plain) as stream:
        assert list(split_json(stream)) == [b'{"a":1}']
    with open_input(packed) as stream:
        assert list(split_json(stream)) == [b'{"a":1}', b'{"b":2}']


def test_text_is_cut_at_line_ends():
    data = b"\xef\xbb\xbfone\r\n\r\n  \ntwo\nthree"
    assert list(split_lines(io.BytesIO(data))) == [b"one", b"two", b"three"]


def test_a_long_line_of_text_is_marked():
    largest, large = b"y" * MAX_RECORD_BYTES, PADDING * 3
    records = list(split_lines(io.BytesIO(largest + b"\r\n" + large + b"\nend\n")))
    assert records == [
        largest,
        Oversized(large[:HEAD_BYTES], len(large), hashlib.sha256(large).hexdigest()),
        b"end",
    ]
