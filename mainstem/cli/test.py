"""`mainstem test`: streams on recorded events, in memory."""

from __future__ import annotations

import asyncio
import difflib
import traceback
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from mainstem.cli.exit import PROBLEMS, reports_errors
from mainstem.cli.opened import HERE, ProjectOption
from mainstem.cli.output import Format, FormatOption, as_plain, say, show_rows
from mainstem.errors import BAD_PROJECT, MainstemError, Misconfigured
from mainstem.project.discover import find_stream
from mainstem.project.load import load
from mainstem.project.model import Project
from mainstem.testing.recorded import CASES, EVENTS, EXPECTED, Case, Made, find_cases, make

CASE_COLUMNS = ("stream", "case", "events", "written", "dead_letters", "result")
ROW_COLUMNS = ("topic", "key", "id", "data", "code", "cause")
SHOWN_LINES = 40
"""Of a difference; the rest is counted."""
HOW_TO_BEGIN = (
    f"record some: mainstem topic tail <topic> --reveal -o ndjson > {CASES}/<stream>/<case>/{EVENTS}, then "
    f"`mainstem test --record`"
)

Lines = Sequence[Mapping[str, Any]]


class Result(StrEnum):
    """What became of a case."""

    OK = "ok"
    DIFFERS = "differs"
    FAILED = "failed"
    """The stream would have paused, or a file of the case is wrong."""
    NEW = "new"
    """Nothing is expected yet."""
    RECORDED = "recorded"

    @property
    def is_good(self) -> bool:
        return self in {Result.OK, Result.RECORDED}


@reports_errors
def test(
    streams: Annotated[list[str] | None, typer.Argument(help="Streams; all that have cases if left out.")] = None,
    *,
    events: Annotated[
        Path | None, typer.Option("--events", help="Show what one stream makes of the events in this file.")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="With --events: name=file of a table. Repeatable.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help=f"Write {EXPECTED} of the cases anew; review it as you review code.")
    ] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Runs streams on recorded events, without Kafka. Exits 1 when one writes something else than it is expected to."""
    loaded = load(project, offline=True)
    if events is not None:
        if streams is None or len(streams) != 1 or record:
            raise typer.BadParameter("name one stream with --events, and nothing to --record")
        _show(loaded, streams[0], events, _tables(table or []), output)
        return
    if table:
        raise typer.BadParameter("--table goes with --events; a case has its tables in its folder")
    rows = [_check(loaded, case, record=record) for case in _cases(project, streams)]
    show_rows(rows, CASE_COLUMNS, output)
    if not all(row["result"].is_good for row in rows):
        raise typer.Exit(PROBLEMS)


def _cases(project: Path, streams: Sequence[str] | None) -> list[Case]:
    """Never none: a check that looks at nothing would always be content."""
    cases = find_cases(project)
    missing = sorted(set(streams or ()) - {case.stream for case in cases})
    if missing or not cases:
        wanted = " or ".join(missing) or "<stream>"
        raise Misconfigured(f"there is no {CASES}/{wanted}/<case>/{EVENTS}", code=BAD_PROJECT, fix=HOW_TO_BEGIN)
    return [case for case in cases if not streams or case.stream in streams]


def _show(project: Project, name: str, events: Path, tables: Mapping[str, Path], output: Format) -> None:
    made = asyncio.run(make(project.folder, find_stream(project, name), events, tables))
    show_rows([*made.written, *made.dead_letters], ROW_COLUMNS, output)
    say(f"{made.read} events: {len(made.written)} written, {len(made.dead_letters)} dead letters")


def _check(project: Project, case: Case, *, record: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"stream": case.stream, "case": case.name}
    try:
        stream = find_stream(project, case.stream)
        made = asyncio.run(make(project.folder, stream, case.events, case.tables(stream)))
        lines = _lines(made)
        expected = _expected(case)
    except MainstemError as error:
        say(f"{case.stream}/{case.name}: {error}")
        return row | {"result": Result.FAILED, "error": str(error)}
    except Exception as bug:  # noqa: BLE001 - the author's code: what is wrong with it is what is to be shown
        said = f"{type(bug).__name__}: {bug}{_line(project, bug)}"
        say(f"{case.stream}/{case.name}: {said}")
        return row | {"result": Result.FAILED, "error": said}
    row |= {"events": made.read, "written": len(made.written), "dead_letters": len(made.dead_letters)}
    return row | {"result": _judge(case, lines, expected, record=record)}


def _judge(case: Case, lines: Lines, expected: Lines | None, *, record: bool) -> Result:
    if expected == lines:
        return Result.OK
    if record:
        case.expected.write_text("".join(_dump(line) for line in lines), encoding="utf-8")
        return Result.RECORDED
    if expected is None:
        say(f"{case.stream}/{case.name}: nothing is expected yet (fix: mainstem test {case.stream} --record)")
        return Result.NEW
    _explain(case, lines, expected)
    return Result.DIFFERS


def _explain(case: Case, lines: Lines, expected: Lines) -> None:
    before, after = ([_dump(line) for line in each] for each in (expected, lines))
    name = f"{case.stream}/{case.name}"
    difference = list(difflib.unified_diff(before, after, f"{name} expected", f"{name} written", n=1))
    say("".join(difference[:SHOWN_LINES]).rstrip("\n"))
    if len(difference) > SHOWN_LINES:
        say(f"... and {len(difference) - SHOWN_LINES} lines more")


def _lines(made: Made) -> Lines:
    """As they read back from a file."""
    return [orjson.loads(_dump(as_plain(row))) for row in (*made.written, *made.dead_letters)]


def _dump(line: Mapping[str, Any]) -> str:
    return orjson.dumps(line, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()


def _expected(case: Case) -> Lines | None:
    if not case.expected.exists():
        return None
    try:
        return [orjson.loads(line) for line in case.expected.read_bytes().splitlines() if line.strip()]
    except orjson.JSONDecodeError as error:
        fix = "mend it, or write it anew with --record"
        raise Misconfigured(f"{case.expected} holds no JSON lines: {error}", code=BAD_PROJECT, fix=fix) from None


def _tables(given: Sequence[str]) -> dict[str, Path]:
    pairs = [each.partition("=") for each in given]
    if not all(name and equals and path for name, equals, path in pairs):
        raise typer.BadParameter("say --table name=file")
    return {name: Path(path) for name, _, path in pairs}


def _line(project: Project, bug: BaseException) -> str:
    """Where in the project's own files; nothing for a bug that has no part in them."""
    folder = project.folder.resolve()
    own = [f for f in traceback.extract_tb(bug.__traceback__) if Path(f.filename).resolve().parent.parent == folder]
    return f" at {Path(own[-1].filename).resolve().relative_to(folder)}:{own[-1].lineno}" if own else ""
