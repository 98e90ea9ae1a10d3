"""`mainstem test`: what a stream makes of recorded events, compared with what it is expected to make."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from mainstem.cli.main import app
from mainstem.cli.test import HOW_TO_BEGIN
from mainstem.project import imports

REPOSITORY = Path(__file__).parents[3]
CASE = Path("tests/streams/counted/a_day")
STREAM = """
from mainstem import Event, Rejected, Table, stream

@stream(reads="shop.sold.v1", writes="shop.counted.v1", tables={"prices": "shop.price.v1"})
def counted(sold: Event, prices: Table) -> Event | None:
    pieces = sold.data["pieces"]
    if pieces < 0:
        raise Rejected("less than nothing")
    if pieces == 0:
        return None
    price = prices.get(sold.data["product"])
    return sold.replace(data={"value": pieces * (price["cents"] if price else 0)})
"""
SCHEMAS = {
    "sold": [("product", "string"), ("pieces", "int")],
    "counted": [("value", "int")],
    "price": [("cents", "int")],
}
EVENTS: list[dict[str, object]] = [
    {"key": "a", "id": "1", "time": "2026-01-01T08:00:00Z", "data": {"product": "p", "pieces": 2}},
    {"key": "a", "id": "2", "data": {"product": "p", "pieces": -1}},
    {"key": "b", "data": {"product": "p", "pieces": 0}},
]
Run = Callable[..., Result]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "mainstem.yaml").write_text("project: shop\n")
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "counted.py").write_text(STREAM)
    (tmp_path / "schemas" / "shop").mkdir(parents=True)
    for name, fields in SCHEMAS.items():
        schema = {"type": "record", "namespace": "shop", "name": name, "doc": "."}
        schema["fields"] = [{"name": field, "type": kind} for field, kind in fields]  # type: ignore[assignment]
        (tmp_path / "schemas" / "shop" / f"{name}.v1.avsc").write_text(json.dumps(schema))
    (tmp_path / CASE).mkdir(parents=True)
    write(tmp_path / CASE / "events.ndjson", EVENTS)
    write(tmp_path / CASE / "prices.ndjson", [{"key": "p", "data": {"cents": 250}}])
    yield tmp_path
    imports.forget(tmp_path)


@pytest.fixture
def run(shop: Path) -> Run:
    return lambda *arguments: CliRunner().invoke(app, ["test", *arguments, "--project", str(shop)])


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))


def lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_what_is_recorded_is_expected_from_then_on(shop: Path, run: Run) -> None:
    new, recorded, checked = run(), run("--record"), run("counted", "-o", "json")

    assert (new.exit_code, recorded.exit_code, checked.exit_code) == (1, 0, 0)
    assert "mainstem test counted --record" in new.stderr
    row = {"stream": "counted", "case": "a_day", "events": 3, "written": 1, "dead_letters": 1, "result": "ok"}
    assert json.loads(checked.stdout) == [row]
    written, letter = lines(shop / CASE / "expected.ndjson")
    assert written == {
        "topic": "shop.counted.v1",
        "key": "a",
        "id": "1",
        "time": "2026-01-01T08:00:00Z",
        "data": {"value": 500},
    }
    assert (letter["id"], letter["code"], letter["cause"]) == ("2", "MS-106", "less than nothing")


def test_a_change_of_what_is_written_is_shown_and_fails(shop: Path, run: Run) -> None:
    run("--record")
    write(shop / CASE / "prices.ndjson", [{"key": "p", "data": {"cents": 200}}])

    result = run()

    assert result.exit_code == 1
    assert "differs" in result.stdout
    assert '-{"data":{"value":500}' in result.stderr
    assert '+{"data":{"value":400}' in result.stderr
    assert [row["data"] for row in lines(shop / CASE / "expected.ndjson")[:1]] == [{"value": 500}]


def test_a_bug_fails_its_case_and_names_the_line(shop: Path, run: Run) -> None:
    (shop / "streams" / "counted.py").write_text(STREAM.replace('sold.data["pieces"]', 'sold.data["piece"]'))

    result = run()

    assert result.exit_code == 1
    assert "KeyError: 'piece' at streams/counted.py:6" in result.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "events.ndjson:1: no JSON"),
        ('{"key": "a"}', "events.ndjson:1: no recorded event: there is no `data`"),
        ('{"error": "MS-101"}', "it shows an undecodable record"),
        ('{"data": 7}', "`data` is no object"),
        ('{"data": {}, "time": "soon"}', "`time` is no RFC 3339 time: soon"),
        ('{"data": {"product": "p", "pieces": "two"}}', "pieces"),
    ],
)
def test_a_line_that_is_no_event_of_the_topic_is_named(shop: Path, run: Run, line: str, said: str) -> None:
    (shop / CASE / "events.ndjson").write_text(line + "\n")

    result = run()

    assert result.exit_code == 1
    assert said in result.stderr
    assert "events.ndjson:1" in result.stderr


def test_events_from_anywhere_are_shown_as_what_becomes_of_them(shop: Path, run: Run) -> None:
    events, prices = (str(shop / CASE / name) for name in ("events.ndjson", "prices.ndjson"))

    with_prices = run("counted", "--events", events, "--table", f"prices={prices}", "-o", "ndjson")
    without = run("counted", "--events", events, "-o", "ndjson")
    wrong = run("counted", "--events", events, "--table", f"price={prices}")

    assert [json.loads(line).get("data") for line in with_prices.stdout.splitlines()] == [{"value": 500}, None]
    assert json.loads(without.stdout.splitlines()[0])["data"] == {"value": 0}
    assert "3 events: 1 written, 1 dead letters" in without.stderr
    assert (wrong.exit_code, "did you mean `prices`?" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [(), ("counted",), ("nothing",)])
def test_a_check_of_nothing_is_no_success(shop: Path, run: Run, arguments: tuple[str, ...]) -> None:
    shutil.rmtree(shop / CASE)

    result = run(*arguments)

    assert result.exit_code == 2
    assert HOW_TO_BEGIN in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--events", "x"), ("a", "b", "--events", "x"), ("a", "--events", "x", "--record"), ("--table", "a=b")],
)
def test_options_that_do_not_go_together_are_refused(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_streams_of_this_project_make_what_is_expected_of_them() -> None:
    result = CliRunner().invoke(app, ["test", "--project", str(REPOSITORY)])

    assert result.exit_code == 0, result.output
