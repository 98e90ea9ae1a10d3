"""`mainstem replay` as its users have it: what is chosen, into a file, paused from elsewhere, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from mainstem.cli import replay
from mainstem.codec.avro import Codec
from mainstem.codec.registry import Registry
from mainstem.devstack import Stack, recreate_database
from mainstem.failpoint import VARIABLE
from mainstem.kafka.topics import TopicSpec
from tests.backbone_process import COMMAND, until
from tests.integration.recover.conftest import PARTITIONS, Shop, wait_until_led

pytestmark = pytest.mark.stack

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "household", "type": "string", "mainstem.tags": ["pii"]},
    {"name": "net", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "size", "type": {"type": "enum", "name": "size", "symbols": ["SMALL", "LARGE"]}},
]
TABLES = """
CREATE TABLE sold (id text PRIMARY KEY, household text, net numeric, size text);
CREATE TABLE sold_log (n bigserial, id text, household text, net numeric, size text);
"""
Run = Callable[..., Result]
Encode = Callable[..., bytes]
NETS = ("1.00", "2.50", "10.00", "25.00")


def definition(shop: Shop, **more: Any) -> dict[str, Any]:
    return {"type": "record", "namespace": shop.topic.split(".")[0], "name": "sold", "fields": FIELDS, **more}


@pytest.fixture
def folder(shop: Shop, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    name = shop.part.split(".", 1)[0]
    dsn = recreate_database(stack.postgres_dsn, name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLES)
    monkeypatch.setenv("MAINSTEM_SECRET_TARGET", dsn)
    home = tmp_path / "project"
    schemas = home / "schemas" / name
    schemas.mkdir(parents=True)
    settings = f'kafka: {{bootstrap: "{stack.bootstrap}"}}\nregistry: {{url: "{stack.registry_url}"}}\n'
    (home / "mainstem.yaml").write_text(f"project: {name}\n{settings}")
    (home / "integrations").mkdir()
    (home / "integrations" / f"{name}.yaml").write_text(
        f"integration: {name}\nowner: finance\nsinks:\n"
        f"  - {{name: journal, connector: postgres, topics: [{shop.topic}],\n"
        f'     settings: {{dsn: "${{secret:target}}", table: sold, key: [id]}}}}\n'
        f"  - {{name: log, connector: postgres, topics: [{shop.topic}],\n"
        f'     settings: {{dsn: "${{secret:target}}", table: sold_log}}}}\n'
    )
    (schemas / "sold.v1.avsc").write_text(json.dumps(definition(shop)))
    return home


@pytest.fixture
def encode(shop: Shop, stack: Stack) -> Iterator[Encode]:
    with Registry(stack.registry_url) as registry:
        registry.register(f"{shop.topic}-value", definition(shop))
        encoder = Codec(registry, {shop.topic: definition(shop)}).encoder(shop.topic)
        yield (
            lambda id, net="1.00", size="SMALL": (
                encoder.encode({"id": id, "household": "Miller", "net": Decimal(net), "size": size}) or b""
            )
        )


@pytest.fixture
def run(folder: Path) -> Run:
    app = typer.Typer()
    app.add_typer(replay.app, name="replay")
    return lambda *arguments: CliRunner().invoke(app, ["replay", *arguments, "--project", str(folder)])


@pytest.fixture
def sold(shop: Shop, encode: Encode) -> None:
    """Two keys with four sales each, and one record that does not decode."""
    for key in ("k1", "k2"):
        for net in NETS:
            size = "LARGE" if Decimal(net) > 5 else "SMALL"
            shop.publish([(key, f"{key}-{net}")], encode(f"{key}-{net}", net, size))
    shop.publish([("k1", "bad")], b"no avro")


def data(result: Result) -> Any:
    assert result.exit_code in {0, 1}, (result.stderr, result.exception)
    return json.loads(result.stdout)


def stored(query: str = "SELECT id FROM sold ORDER BY id") -> list[str]:
    with psycopg.connect(os.environ["MAINSTEM_SECRET_TARGET"]) as connection:
        return [row[0] for row in connection.execute(query.encode()).fetchall()]


def executed(run: Run, shop: Shop, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plans it, and runs exactly that plan."""
    planned = data(run("plan", shop.part, "--all", *options, "-o", "json"))
    return planned, data(run("run", "--plan", planned["plan"], "--execute", "-o", "json"))


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--key", "k2"], ["k2-1.00", "k2-10.00", "k2-2.50", "k2-25.00"]),
        (["--where", "net >= 2.5", "--where", "net < 25"], ["k1-10.00", "k1-2.50", "k2-10.00", "k2-2.50"]),
        (["--where", "size = LARGE", "--key", "k1"], ["k1-10.00", "k1-25.00"]),
        (["--where", 'id in ["k1-1.00", "k2-2.50", "nobody"]'], ["k1-1.00", "k2-2.50"]),
    ],
    ids=lambda part: " ".join(part)[:40],
)
@pytest.mark.usefixtures("sold")
def test_what_is_chosen_is_counted_and_exactly_that_is_delivered(
    shop: Shop, run: Run, options: list[str], chosen: list[str]
) -> None:
    planned, done = executed(run, shop, *options)

    has_predicates = "--where" in options
    is_bad_left_out = has_predicates or "k2" in options
    assert planned["records"] == len(chosen) + (not is_bad_left_out)
    assert planned["undecodable_and_left_out"] == (1 if has_predicates and "k1" not in options else has_predicates)
    assert (done["state"], done["delivered"], done["rejected"]) == ("done", len(chosen), 0)
    assert stored() == chosen


@pytest.mark.parametrize(
    ("predicate", "says"),
    [("nett = 1", "did you mean `net`?"), ("size = LARG", "did you mean `LARGE`?"), ("net", "FIELD OP VALUE")],
)
@pytest.mark.usefixtures("encode")
def test_a_predicate_that_does_not_fit_the_schema_is_a_usage_error(
    shop: Shop, run: Run, predicate: str, says: str
) -> None:
    result = run("plan", shop.part, "--all", "--where", predicate)

    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.usefixtures("sold")
def test_another_choice_is_another_plan_and_another_schema_none(shop: Shop, run: Run, folder: Path) -> None:
    plans = [data(run("plan", shop.part, "--all", *o, "-o", "json"))["plan"] for o in ([], ["--where", "net > 1"])]
    schema = next(folder.glob("schemas/*/sold.v1.avsc"))
    schema.write_text(json.dumps(definition(shop, doc="changed")))

    result = run("run", "--plan", plans[1], "--execute")

    assert len(set(plans)) == 2
    assert (result.exit_code, stored()) == (4, [])
    assert "schema of" in result.stderr
    assert run("run", "--plan", plans[0], "--execute").exit_code == 1  # it never looked at the schema; one was refused


@pytest.mark.usefixtures("sold")
def test_a_replay_into_a_file_is_decoded_masked_and_touches_no_sink(shop: Shop, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    _, done = executed(run, shop, "--into", str(path))

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    by_key = {key: [line["id"] for line in lines if line["key"] == key] for key in ("k1", "k2")}
    assert (done["state"], done["delivered"]) == ("done", 9)
    assert by_key == {"k1": [*(f"k1-{n}" for n in NETS), "bad"], "k2": [f"k2-{n}" for n in NETS]}
    assert lines[0]["data"]["household"] == "***"
    assert [line["error"].split()[0] for line in lines if line["id"] == "bad"] == ["MS-101"]
    assert stored() == []
    assert stored("SELECT to_regclass('mainstem_offsets')::text") == [None]
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.usefixtures("sold")
def test_a_file_with_personal_data_is_another_plan_and_says_so(shop: Shop, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    masked = data(run("plan", shop.part, "--all", "--into", str(path), "-o", "json"))
    planned = data(run("plan", shop.part, "--all", "--into", str(path), "--reveal", "-o", "json"))

    result = run("run", "--plan", planned["plan"], "--execute")

    assert masked["plan"] != planned["plan"]
    assert "--reveal" in result.stderr
    assert json.loads(path.read_text().splitlines()[0])["data"]["household"] == "Miller"
    again = run("run", "--plan", masked["plan"], "--execute")
    assert (again.exit_code, "is there already" in again.stderr) == (4, True)


@pytest.mark.parametrize("name", ["out.csv", "missing/out.ndjson"])
def test_a_file_that_cannot_be_is_a_usage_error(shop: Shop, run: Run, tmp_path: Path, name: str) -> None:
    assert run("plan", shop.part, "--all", "--into", str(tmp_path / name)).exit_code == 2


@pytest.mark.usefixtures("sold")
def test_a_topic_that_was_made_anew_is_not_what_was_planned(shop: Shop, run: Run, encode: Encode) -> None:
    planned = data(run("plan", shop.part, "--all", "-o", "json"))
    shop.admin.delete([shop.topic])
    shop.admin.create([TopicSpec(shop.topic, PARTITIONS)])
    wait_until_led(shop.config, [shop.topic])
    for n in range(20):
        shop.publish([(f"k{n}", f"new{n}")], encode(f"new{n}"))

    result = run("run", "--plan", planned["plan"], "--execute")

    assert (result.exit_code, stored()) == (4, [])
    assert "was deleted since the plan was made" in result.stderr


class Terminal:
    """`mainstem replay run` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, failpoints: str = "") -> None:
        self._log = folder / "run.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "replay", "run", *arguments, "--execute", "--project", str(folder)],
                env={**os.environ, VARIABLE: failpoints},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._log.read_text()

    def ends(self, within_s: float = 60) -> int:
        try:
            return self.process.wait(within_s)
        finally:
            self.process.kill()


@pytest.fixture
def many(shop: Shop, encode: Encode) -> list[str]:
    names = [f"e{n:03}" for n in range(120)]
    for start in range(0, len(names), 40):
        shop.publish([(f"k{n % 7}", name) for n, name in enumerate(names[start : start + 40])], encode("same"))
    return names


def log_part(shop: Shop) -> str:
    return shop.part.replace(".journal", ".log")


def job_of(run: Run, planned: dict[str, Any]) -> str:
    rows = data(run("status", "-o", "json"))
    return next(str(row["id"]) for row in rows if row["plan"] == planned["plan"])


def plan_into_log(run: Run, shop: Shop, rate: int = 20) -> str:
    """The id of a planned replay into a table in which doubling would show."""
    return job_of(run, data(run("plan", log_part(shop), "--all", "--rate", str(rate), "-o", "json")))


def logged() -> int:
    return len(stored("SELECT id FROM sold_log"))


@pytest.mark.parametrize("how", ["pause", "SIGINT", "SIGTERM"])
def test_a_replay_is_paused_from_another_terminal_or_by_a_signal_and_resumed(
    shop: Shop, run: Run, folder: Path, many: list[str], how: str
) -> None:
    job = plan_into_log(run, shop)
    first = Terminal(folder, "--resume", job)
    until(lambda: logged() > 0)

    if how == "pause":
        assert data(run("pause", job, "-o", "json"))["state"] == "paused"
    else:
        first.process.send_signal(signal.Signals[how])
    code = first.ends()
    paused, half = data(run("status", job, "-o", "json")), logged()

    assert code == {"pause": 1, "SIGINT": 130, "SIGTERM": 143}[how], first.said()
    assert (paused["state"], paused["delivered"], paused["error"]) == ("paused", half, None)
    assert 0 < half < len(many)
    assert f"--resume {job}" in first.said()
    assert Terminal(folder, "--resume", job).ends() == 0
    assert logged() == len(many)


def test_a_replay_that_is_cancelled_from_another_terminal_is_over(
    shop: Shop, run: Run, folder: Path, many: list[str]
) -> None:
    job = plan_into_log(run, shop)
    running = Terminal(folder, "--resume", job)
    until(lambda: logged() > 0)

    cancelled = data(run("cancel", job, "-o", "json"))

    assert running.ends() == 1
    assert cancelled["state"] == "cancelled"
    assert 0 < logged() < len(many)
    again = run("run", "--resume", job, "--execute")
    assert (again.exit_code, f"replay {job} is cancelled" in again.stderr) == (4, True)


@pytest.mark.parametrize("failpoint", ["replay.before_commit", "replay.after_commit"])
def test_a_replay_that_is_killed_around_its_note_and_resumed_delivers_each_record_once(
    shop: Shop, run: Run, folder: Path, many: list[str], failpoint: str
) -> None:
    job = plan_into_log(run, shop)

    codes = [Terminal(folder, "--resume", job, failpoints=f"{failpoint}=kill#2").ends() for _ in range(2)]
    left = data(run("status", job, "-o", "json"))
    last = Terminal(folder, "--resume", job)

    assert codes == [-signal.SIGKILL] * 2
    assert (left["state"], left["settled"] < len(many)) == ("running", True)
    assert last.ends() == 0, last.said()
    assert logged() == len(many)
    done = data(run("status", job, "-o", "json"))
    assert (done["state"], done["settled"]) == ("done", len(many))
    assert (done["settled_before"] > 0) == (failpoint == "replay.before_commit")


def test_a_file_is_whole_after_a_kill(shop: Shop, run: Run, folder: Path, many: list[str], tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    planned = data(run("plan", shop.part, "--all", "--rate", "30", "--into", str(path), "-o", "json"))
    job = job_of(run, planned)

    assert Terminal(folder, "--resume", job, failpoints="replay.before_commit=kill#3").ends() == -signal.SIGKILL
    assert not path.exists()
    assert Terminal(folder, "--resume", job).ends() == 0

    assert sorted(json.loads(line)["id"] for line in path.read_text().splitlines()) == sorted(many)
    assert list(tmp_path.glob(".*")) == []


def test_status_follows_a_replay_to_its_end(shop: Shop, run: Run, folder: Path, many: list[str]) -> None:
    job = plan_into_log(run, shop, rate=60)
    running = Terminal(folder, "--resume", job)
    until(lambda: logged() > 0)

    followed = data(run("status", job, "--watch", "-o", "json"))

    assert (followed["state"], followed["settled"]) == ("done", len(many))
    assert running.ends() == 0


def test_the_time_that_a_plan_estimates_is_the_time_that_it_takes(shop: Shop, run: Run, many: list[str]) -> None:
    planned = data(run("plan", log_part(shop), "--all", "--rate", "40", "--key", "k1", "-o", "json"))
    result = run("run", "--plan", planned["plan"], "--execute", "-o", "json")

    assert planned["records"] == data(result)["delivered"] == len([n for n in range(len(many)) if n % 40 % 7 == 1])
    assert planned["minutes"] == pytest.approx(planned["records"] / 40 / 60, abs=0.05)
