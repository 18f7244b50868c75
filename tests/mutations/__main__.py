"""``python -m tests.mutations [--short] [--jobs N] [word ...]``: each promise, broken on purpose.

Each named test runs as a process on a copy of the source: it must pass there, and fail once the
change is made. A test that could not begin, as where a module cannot be imported, has seen nothing.
``--short`` leaves out what needs Kafka or ClickHouse, and runs the tests without changes as one
process. Words pick mutations by promise or name.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple
from xml.etree import ElementTree

from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "var", "node_modules"
)
LONGEST_SECONDS = 900.0


class Outcome(NamedTuple):
    """What a run of a test came to: how many of it passed and failed, and how it ended."""

    passed: int
    failed: int
    said: str


def copy_of_source(folder: Path) -> Path:
    """A copy of everything that is kept in the repository, compiled.

    Compiled files are checked by content: a file that is changed twice in a second is seen.
    """
    copy = folder / "source"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    for name in ("pipeline", "schemas", "agents", "sinks"):
        compileall.compile_dir(copy / name, quiet=1, invalidation_mode=mode)
    return copy


def break_it(mutation: Mutation, source: Path) -> str:
    """Change the file of a mutation; what stood there before.

    Raises:
        ValueError: the source is not as the mutation expects it.
    """
    file = source / mutation.file
    before = text = file.read_text("utf-8")
    for right, wrong in mutation.edits:
        if text.count(right) != 1:
            raise ValueError(
                f"{mutation.name}: {mutation.file} has changed; {right!r} stands there"
                f" {text.count(right)} times"
            )
        text = text.replace(right, wrong)
    if mutation.file.endswith(".py"):
        compile(text, mutation.file, "exec")
    file.write_text(text, "utf-8")
    return before


def run(tests: Iterable[str], source: Path) -> dict[str, Outcome]:
    """Run tests as one process; what became of each.

    Raises:
        RuntimeError: no test was run.
    """
    wanted = sorted(set(tests))
    report = source / "report.xml"
    report.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
        *wanted,
    ]  # fmt: skip
    environment = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Random examples are the same in both runs, and what is missing fails instead of being skipped.
    environment |= {"CI": "true", "PYTHONPATH": str(source)}
    done = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, check=False,
        timeout=LONGEST_SECONDS,
    )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"nothing was run: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest's own report
    return {test: outcome_of(test, cases) for test in wanted}


def outcome_of(test: str, cases: Sequence[ElementTree.Element]) -> Outcome:
    """How the cases of a test ended; one that could not begin did neither pass nor fail."""
    file, _, name = test.partition("::")
    module = file.removesuffix(".py").replace("/", ".")
    passed = failed = 0
    said = ""
    for case in cases:
        found = str(case.get("name"))
        if case.get("classname") != module or name not in (found, found.partition("[")[0]):
            continue
        failure, other = case.find("failure"), case.find("error")
        if failure is not None:
            failed += 1
            said = str(failure.get("message")).splitlines()[0]
        elif other is None and case.find("skipped") is None:
            passed += 1
        else:
            said = str((other if other is not None else case.find("skipped")).get("message"))
    return Outcome(passed, failed, said)


class Result(NamedTuple):
    """A mutation, its test without and with it, and how long that took."""

    mutation: Mutation
    without: Outcome
    with_it: Outcome
    seconds: float

    @property
    def seen(self) -> bool:
        """Whether the test passes without the change and fails with it."""
        without = self.without.passed > 0 and self.without.failed == 0
        return without and self.with_it.failed > 0


def judge(mutation: Mutation, source: Path, without: Outcome | None) -> Result:
    """Run the test of a mutation without it, unless that was done, and with it."""
    began = time.monotonic()
    if without is None:
        without = run([mutation.test], source)[mutation.test]
    file, before = source / mutation.file, break_it(mutation, source)
    try:
        with_it = run([mutation.test], source)[mutation.test]
    finally:
        file.write_text(before, "utf-8")
    return Result(mutation, without, with_it, time.monotonic() - began)


def chosen(words: Sequence[str], *, short: bool) -> list[Mutation]:
    """Mutations whose promise or name holds one of the words, all of them without words."""
    return [
        mutation
        for mutation in MUTATIONS
        if not (short and mutation.slow)
        and (not words or any(w in f"{mutation.promise} {mutation.name}" for w in words))
    ]


def table(results: Sequence[Result]) -> list[str]:
    """Lines of the table: promise, mutation, test, without, with."""
    rows = [("promise", "broken on purpose", "test", "without", "with", "s")]
    rows += [
        (
            result.mutation.promise,
            result.mutation.name,
            result.mutation.test.partition("::")[2],
            f"{result.without.passed} passed" if not result.without.failed else "FAILED",
            f"{result.with_it.failed} failed" if result.seen else "NOT SEEN",
            f"{result.seconds:.0f}",
        )
        for result in results
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def main() -> int:
    """Run the chosen mutations, print the table; 1 if a test did not see what it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("--short", action="store_true", help="without Kafka and ClickHouse")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at a time")
    parser.add_argument("words", nargs="*", help="only those whose promise or name has one of them")
    asked = parser.parse_args()
    mutations = chosen(asked.words, short=asked.short)
    with tempfile.TemporaryDirectory(prefix="cxstream-mutations-") as home:
        sources: SimpleQueue[Path] = SimpleQueue()
        for number in range(asked.jobs):
            sources.put(copy_of_source(Path(home) / str(number)))
        clean: dict[str, Outcome] = {}
        if asked.short:
            source = sources.get()
            clean = run((mutation.test for mutation in mutations), source)
            sources.put(source)

        def judged(mutation: Mutation) -> Result:
            source = sources.get()
            try:
                result = judge(mutation, source, clean.get(mutation.test))
            finally:
                sources.put(source)
            mark = "seen" if result.seen else "NOT SEEN"
            print(f"{mark}: {mutation.promise}: {mutation.name}", file=sys.stderr, flush=True)
            return result

        with ThreadPoolExecutor(asked.jobs) as pool:
            results = list(pool.map(judged, mutations))
    print("\n".join(table(results)))
    missed = [result for result in results if not result.seen]
    for result in missed:
        print(f"{result.mutation.name}: {result.without.said} / {result.with_it.said}")
    print(f"{len(results) - len(missed)} of {len(results)} seen")
    return 1 if missed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
