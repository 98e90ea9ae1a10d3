"""The operators' commands on the real stack, with a project of the test's own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
import typer
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner, Result

from mainstem.cli import dlq, group, record, replay, topic
from mainstem.codec.avro import Codec
from mainstem.codec.registry import Registry
from mainstem.devstack import Stack, recreate_database
from mainstem.flow.letter_status import DELIVERED
from mainstem.kafka.record import Record
from mainstem.kafka.topics import TopicSpec
from tests.integration.recover.conftest import Shop, ids, wait_until_led

pytestmark = pytest.mark.stack

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "household", "type": "string", "mainstem.tags": ["pii"]},
    {"name": "net", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
]
Run = Callable[..., Result]


@pytest.fixture
def folder(shop: Shop, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    name = shop.part.split(".", 1)[0]
    dsn = recreate_database(stack.postgres_dsn, name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE sold (id text PRIMARY KEY, household text, net numeric CHECK (net <> 0))")
    monkeypatch.setenv("MAINSTEM_SECRET_TARGET", dsn)
    settings = f'kafka: {{bootstrap: "{stack.bootstrap}"}}\nregistry: {{url: "{stack.registry_url}"}}\n'
    (tmp_path / "mainstem.yaml").write_text(f"project: {name}\n{settings}")
    (tmp_path / "integrations").mkdir()
    (tmp_path / "integrations" / f"{name}.yaml").write_text(
        f"integration: {name}\nowner: finance\nsinks:\n  - name: journal\n    connector: postgres\n"
        f'    topics: [{shop.topic}]\n    settings: {{dsn: "${{secret:target}}", table: sold, key: [id]}}\n'
    )
    schemas = tmp_path / "schemas" / name
    schemas.mkdir(parents=True)
    (schemas / "sold.v1.avsc").write_text(json.dumps(definition(shop)))
    return tmp_path


@pytest.fixture
def encode(shop: Shop, stack: Stack) -> Iterator[Callable[..., bytes]]:
    """Encodes a sale with the registered schema."""
    with Registry(stack.registry_url) as registry:
        registry.register(f"{shop.topic}-value", definition(shop))
        encoder = Codec(registry, {shop.topic: definition(shop)}).encoder(shop.topic)
        yield lambda id: encoder.encode({"id": id, "household": "Miller", "net": Decimal("1.50")}) or b""


@pytest.fixture
def run(folder: Path) -> Run:
    app = typer.Typer()
    for name, module in (("dlq", dlq), ("replay", replay), ("topic", topic), ("group", group), ("record", record)):
        app.add_typer(module.app, name=name)
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--project", str(folder)])


def definition(shop: Shop) -> dict[str, Any]:
    return {"type": "record", "namespace": shop.topic.split(".")[0], "name": "sold", "fields": FIELDS}


def data(result: Result) -> Any:
    assert result.exit_code == 0, (result.stderr, result.exception)
    return json.loads(result.stdout)


def test_dead_letters_are_listed_by_cause_and_one_is_shown_with_personal_data_masked(
    shop: Shop, run: Run, encode: Callable[..., bytes]
) -> None:
    one, two = shop.publish([("k1", "a"), ("k2", "b")], encode("a"))
    shop.refuse(one, two)

    (listed,) = data(run("dlq", "list", shop.part, "-o", "json"))
    shown = run("dlq", "show", "a", "--dlq", shop.dlq, "-o", "json")
    revealed = run("dlq", "show", "a", "--dlq", shop.dlq, "-o", "json", "--reveal")

    assert (listed["letters"], listed["keys"], listed["code"]) == (2, 2, "MS-105")
    assert listed["message"] == "account 17 is closed"
    assert data(shown)["data"] == {"id": "a", "household": "***", "net": "1.50"}
    assert data(shown)["headers"] == {"ce_id": "a"}
    assert "Miller" not in shown.output
    assert data(revealed)["data"]["household"] == "Miller"
    assert "--reveal" in revealed.stderr


def test_a_letter_that_there_is_not_is_told(shop: Shop, run: Run) -> None:
    result = run("dlq", "show", "nobody", "--dlq", shop.dlq)

    assert result.exit_code == 2
    assert "there is no dead letter nobody" in result.stderr


def test_a_redrive_previews_and_changes_nothing(shop: Shop, run: Run) -> None:
    shop.refuse(*shop.publish([("k1", "a"), ("k1", "b"), ("k2", "c")]))

    result = run("dlq", "redrive", "--id", "b", "-o", "json")

    assert [row["event_id"] for row in data(result)] == ["a", "b"]
    assert "2 records of 1 keys to redrive, 1 of them because they wait on the same keys" in result.stderr
    assert "--execute" in result.stderr
    assert shop.read(shop.redrive) == []


def test_a_redrive_waits_for_what_becomes_of_it_and_a_second_one_does_nothing(shop: Shop, run: Run) -> None:
    shop.refuse(*shop.publish([("k1", "a"), ("k1", "b")]))
    sink = threading.Thread(target=deliver_what_is_redriven, args=(shop, 2))
    sink.start()

    first = run("dlq", "redrive", shop.part, "--all", "--execute", "-o", "json")
    sink.join()
    second = run("dlq", "redrive", shop.part, "--all", "--execute", "-o", "json")

    found = data(first)
    assert (found["redriven"], found["delivered"], found["failed_again"]) == (2, 2, 0)
    assert "2 delivered, 0 failed again" in first.stderr
    assert data(second)["redriven"] == 0
    assert ids(shop.read(shop.redrive)) == ["a", "b"]


def test_a_redrive_that_nobody_settles_ends_with_1(shop: Shop, run: Run) -> None:
    shop.refuse(*shop.publish([("k1", "a")]))

    result = run("dlq", "redrive", shop.part, "--all", "--execute", "--wait", "0.3")

    assert result.exit_code == 1
    assert "0 delivered, 0 failed again, 1 not settled yet" in result.stderr


def test_a_redrive_of_a_plan_that_changed_is_refused_with_4(shop: Shop, run: Run) -> None:
    shop.refuse(*shop.publish([("k1", "a")]))

    result = run("dlq", "redrive", shop.part, "--all", "--execute", "--plan", "feedfeedfeedfeed")

    assert result.exit_code == 4
    assert result.stderr.startswith("error MS-402: ")
    assert shop.read(shop.redrive) == []


def test_a_topics_tail_is_decoded_and_what_does_not_decode_is_shown_as_that(
    shop: Shop, run: Run, encode: Callable[..., bytes]
) -> None:
    shop.publish([("k1", "a")], encode("a"))
    shop.publish([("k1", "bad")], b"no avro")

    rows = [json.loads(line) for line in run("topic", "tail", shop.topic, "-o", "ndjson").stdout.splitlines()]
    table = run("topic", "tail", shop.topic, "-n", "1")

    assert rows[0]["data"] == {"id": "a", "household": "***", "net": "1.50"}
    assert (rows[1]["error"].split()[0], rows[1]["bytes"], rows[1]["id"]) == ("MS-101", 7, "bad")
    assert "MS-101" in table.stdout
    assert len(table.stdout.splitlines()) == 2


def test_a_topic_is_read_from_an_offset_and_from_a_time(shop: Shop, run: Run, encode: Callable[..., bytes]) -> None:
    shop.publish([("k1", f"e{n}") for n in range(5)], encode("a"))
    partition = shop.read(shop.topic)[0].partition()

    by_offset = run("topic", "tail", shop.topic, "--from", f"{shop.topic}:{partition}:2", "-n", "2", "-o", "json")
    by_time = run("topic", "tail", shop.topic, "--from", "-1h", "-n", "99", "-o", "json")

    assert [row["id"] for row in data(by_offset)] == ["e2", "e3"]
    assert len(data(by_time)) == 5


def test_topics_are_listed_with_their_records_and_schema(shop: Shop, run: Run, encode: Callable[..., bytes]) -> None:
    shop.publish([("k1", "a"), ("k2", "b")], encode("a"))

    rows = {row["topic"]: row for row in data(run("topic", "list", "-o", "json"))}

    assert (rows[shop.topic]["partitions"], rows[shop.topic]["records"]) == (3, 2)
    assert rows[shop.topic]["schema_id"] == int.from_bytes(encode("a")[1:5], "big")
    assert not any(name.startswith("_") for name in rows)


def test_a_group_is_described_by_its_sinks_name(shop: Shop, run: Run) -> None:
    shop.publish([("k1", "a"), ("k1", "b"), ("k1", "c")])
    number = shop.read(shop.topic)[0].partition() or 0
    consumer = Consumer({**shop.config, "group.id": f"mainstem.{shop.part}"})
    consumer.commit(offsets=[TopicPartition(shop.topic, number, 1)], asynchronous=False)
    consumer.close()

    found = data(run("group", "describe", shop.part, "-o", "json"))

    assert (found["group"], found["members"], found["lag"]) == (f"mainstem.{shop.part}", 0, 2)
    expected = {"topic": shop.topic, "partition": number, "committed": 1, "end": 3, "lag": 2}
    assert found["partitions"] == [expected]
    assert run("group", "describe", "nobody").exit_code == 2


def test_an_event_is_traced_through_its_topics(shop: Shop, run: Run) -> None:
    event_id = f"{shop.part}-traced"
    shop.refuse(*shop.publish([("k1", event_id)]))

    rows = data(run("record", "trace", event_id, "--depth", "1000", "-o", "json"))

    assert [row["place"].rsplit(":", 2)[0] for row in rows] == [shop.topic, shop.dlq]
    assert rows[1]["says"] == "waiting: account 17 is closed"
    assert run("record", "trace", "nobody", "--depth", "10").exit_code == 1


def test_a_replay_is_planned_run_once_and_shown(shop: Shop, run: Run, encode: Callable[..., bytes]) -> None:
    for name in ("a", "b", "c"):
        shop.publish([("k1", name)], encode(name))
    shop.publish([("k1", "bad")], b"no avro")
    number = shop.read(shop.topic)[0].partition()

    planned = data(run("replay", "plan", shop.part, "--from", f"{shop.topic}:{number}:1", "-o", "json"))
    preview = run("replay", "run", "--plan", planned["plan"])
    done = run("replay", "run", "--plan", planned["plan"], "--execute", "-o", "json")
    again = run("replay", "run", "--plan", planned["plan"], "--execute")
    shown = data(run("replay", "status", json.loads(done.stdout)["id"], "-o", "json"))

    assert (planned["records"], planned["keys"], planned["holes"]) == (3, 1, [])
    assert "each row is written again" in planned["effect"]
    assert preview.exit_code == 0
    assert done.exit_code == 1  # one record was refused
    assert "2 delivered, 1 rejected" in done.stderr
    assert (shown["state"], shown["delivered"], shown["rejected"]) == ("done", 2, 1)
    assert shown["rejections"][0]["code"] == "MS-101"
    assert again.exit_code == 4
    assert stored() == ["b", "c"]
    assert shop.read(shop.dlq) == []


def stored() -> list[str]:
    with psycopg.connect(os.environ["MAINSTEM_SECRET_TARGET"]) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM sold ORDER BY id").fetchall()]


def deliver_what_is_redriven(shop: Shop, count: int) -> None:
    """What a sink's worker does."""
    deadline = monotonic() + 30
    while len(found := shop.read(shop.redrive)) < count:
        assert monotonic() < deadline
        sleep(0.1)
    shop.send([shop.status_of(message, DELIVERED) for message in found])


def test_dead_letters_of_other_systems_are_read_too(shop: Shop, run: Run) -> None:
    """Spring's own naming, Spring's own headers."""
    spring = f"{shop.topic}-dlt"
    shop.admin.create([TopicSpec(spring, 1)])
    wait_until_led(shop.config, [spring])
    headers = [
        ("kafka_dlt-original-topic", shop.topic.encode()),
        ("kafka_dlt-original-partition", (2).to_bytes(4, "big")),
        ("kafka_dlt-original-offset", (41).to_bytes(8, "big")),
        ("kafka_dlt-exception-fqcn", b"com.acme.Refused"),
        ("kafka_dlt-exception-message", b"limit of 17 reached"),
    ]
    shop.send([Record(spring, b"k", b"v", headers)])

    (listed,) = data(run("dlq", "list", spring, "--letters", "-o", "json"))
    shop.admin.delete([spring])

    assert (listed["origin"], listed["state"], listed["message"]) == (
        f"{shop.topic}:2:41",
        "untracked",
        "limit of 17 reached",
    )
