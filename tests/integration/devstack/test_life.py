"""The real stack in a folder of its own: started, found, broken, mended, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from mainstem import devstack
from mainstem.devstack import Part, Stack
from mainstem.devstack.process import is_alive
from mainstem.errors import Unreachable

pytestmark = pytest.mark.stack

# What the stack itself allows its parts on a busy machine, a download included.
STARTS_WITHIN_S = 300

SCHEMA = json.dumps({"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("project")
    yield folder
    devstack.stop(folder)


@pytest.fixture
def stack(project: Path) -> Stack:
    return devstack.ensure(project, environ={}).stack


def registry(stack: Stack, path: str, body: object = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - the stack's own address
        stack.registry_url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def publish(stack: Stack, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    (made,) = admin.create_topics([NewTopic(topic, 1)]).values()
    made.result(10)
    producer = Producer({"bootstrap.servers": stack.bootstrap, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(10) == 0


def first_value(stack: Stack, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def left_open(stack: Stack, topic: str, value: bytes) -> None:
    """A transaction that is over its time when the broker is up again, which then aborts it by itself."""
    timeout_ms = 1000
    config = {"bootstrap.servers": stack.bootstrap, "transactional.id": topic, "transaction.timeout.ms": timeout_ms}
    producer = Producer({**config, "message.timeout.ms": timeout_ms})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, value)
    assert producer.flush(10) == 0


def committed_values(stack: Stack, topic: str, number: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        return [message.value() for message in consumer.consume(number, 30)]
    finally:
        consumer.close()


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    process.wait(10)


def tables(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [str(name) for (name,) in found]


ENSURE = "import sys; from pathlib import Path; from mainstem import devstack; {}"
TOGETHER = ENSURE.format("print(devstack.ensure(Path(sys.argv[1]), environ={}).stack.pids['kafka'])")
KILLED = ENSURE.format(
    "user = devstack.shared(Path(sys.argv[1]), environ={}); user.__enter__(); print('up', flush=True); sys.stdin.read()"
)


def python(code: str, project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(project)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_two_starts_at_once_make_one_stack(project: Path) -> None:
    with python(TOGETHER, project) as one, python(TOGETHER, project) as other:
        pids = {one.communicate(timeout=STARTS_WITHIN_S)[0], other.communicate(timeout=STARTS_WITHIN_S)[0]}
    assert one.returncode == other.returncode == 0
    assert len(pids) == 1
    assert is_alive(int(pids.pop()))


def test_a_second_start_finds_the_same_processes(project: Path, stack: Stack) -> None:
    again = devstack.ensure(project, environ={})
    assert not again.started_here
    assert again.stack == stack
    assert devstack.find(project, environ={}) == stack


def test_every_port_is_open_to_this_machine_only(stack: Stack) -> None:
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for pid in stack.pids.values()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_each_server_has_a_session_of_its_own(stack: Stack) -> None:
    assert {os.getsid(pid) for pid in stack.pids.values()} == set(stack.pids.values())


def test_messages_and_schema_ids_outlive_a_restart(project: Path, stack: Stack) -> None:
    name = f"orders-{uuid4().hex}"
    made = registry(stack, f"/subjects/{name}-value/versions", {"schema": SCHEMA})["id"]
    publish(stack, name, b"kept")
    assert devstack.stop(project)
    assert devstack.find(project, environ={}) is None
    again = devstack.ensure(project, environ={})
    assert again.started_here
    assert again.stack.bootstrap == stack.bootstrap
    assert json.loads(registry(again.stack, f"/schemas/ids/{made}")["schema"]) == json.loads(SCHEMA)
    assert registry(again.stack, f"/subjects/{name}-value/versions/latest")["id"] == made
    assert first_value(again.stack, name) == b"kept"


def test_one_content_has_one_id_however_it_is_asked_for(stack: Stack) -> None:
    name = f"ids-{uuid4().hex}"
    schema = SCHEMA.replace("Order", name.replace("-", "_"))
    made = registry(stack, f"/subjects/{name}/versions", {"schema": schema})["id"]
    spaced = json.dumps(json.loads(schema), indent=4)
    assert registry(stack, f"/subjects/{name}", {"schema": spaced})["id"] == made
    assert registry(stack, f"/subjects/{name}-other/versions", {"schema": schema})["id"] == made
    assert registry(stack, "/config")["compatibilityLevel"] == "BACKWARD_TRANSITIVE"


def test_a_killed_broker_is_started_again_beside_the_living_rest(project: Path, stack: Stack) -> None:
    topic = f"survivors-{uuid4().hex}"
    publish(stack, topic, b"kept")
    kill(stack.pids[Part.KAFKA])
    mended = devstack.ensure(project, environ={})
    assert not mended.started_here
    assert mended.stack.pids[Part.KAFKA] != stack.pids[Part.KAFKA]
    assert mended.stack.pids[Part.REGISTRY] == stack.pids[Part.REGISTRY]
    assert mended.stack.pids[Part.POSTGRES] == stack.pids[Part.POSTGRES]
    assert first_value(mended.stack, topic) == b"kept"


def test_what_a_killed_broker_held_open_does_not_hold_up_readers(project: Path, stack: Stack) -> None:
    topic = f"hung-{uuid4().hex}"
    publish(stack, topic, b"before")
    left_open(stack, topic, b"aborted")
    kill(stack.pids[Part.KAFKA])
    mended = devstack.ensure(project, environ={}).stack
    producer = Producer({"bootstrap.servers": mended.bootstrap, "acks": "all"})
    producer.produce(topic, b"after")
    assert producer.flush(10) == 0
    assert committed_values(mended, topic, 2) == [b"before", b"after"]


def test_a_killed_database_is_started_again_with_its_data_and_the_registry_with_it(project: Path, stack: Stack) -> None:
    name = f"survivors-{uuid4().hex}"
    made = registry(stack, f"/subjects/{name}/versions", {"schema": SCHEMA})["id"]
    kill(stack.pids[Part.POSTGRES])
    mended = devstack.ensure(project, environ={}).stack
    assert mended.pids[Part.KAFKA] == stack.pids[Part.KAFKA]
    assert mended.pids[Part.REGISTRY] != stack.pids[Part.REGISTRY]
    assert registry(mended, f"/subjects/{name}/versions/latest")["id"] == made


def test_a_database_is_made_once_and_emptied_on_demand(stack: Stack) -> None:
    address = devstack.ensure_database(stack.postgres_dsn, "accounting")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE journal_line (id int)")
    assert devstack.ensure_database(stack.postgres_dsn, "accounting") == address
    assert tables(address) == ["journal_line"]
    with psycopg.connect(address):
        assert devstack.recreate_database(stack.postgres_dsn, "accounting") == address
    assert tables(address) == []


def test_the_database_wants_its_password_and_writes_a_logical_log(stack: Stack) -> None:
    with psycopg.connect(stack.postgres_dsn) as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(stack.postgres_dsn, password="")


def test_a_stack_without_its_notes_is_stopped_by_what_its_processes_are(project: Path, stack: Stack) -> None:
    (project / ".mainstem" / "stack.json").unlink()
    assert devstack.stop(project)
    assert not [pid for pid in stack.pids.values() if is_alive(pid)]


def test_a_server_that_cannot_start_names_its_log_and_leaves_nothing_running(project: Path) -> None:
    devstack.stop(project)
    spoiled = project / ".mainstem" / "kafka" / "data" / "meta.properties"
    kept = spoiled.read_text()
    spoiled.write_text("version=99\n")
    try:
        with pytest.raises(Unreachable, match=r"MS-304 kafka ended while it was starting: .*kafka\.log"):
            devstack.ensure(project, environ={})
    finally:
        spoiled.write_text(kept)
    assert not devstack.stop(project)


def test_what_a_killed_user_left_running_is_ended_by_the_next_one(project: Path) -> None:
    devstack.stop(project)
    with python(KILLED, project) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "up\n"
        user.send_signal(signal.SIGKILL)
    with devstack.shared(project, environ={}) as running:
        assert not running.started_here
    assert devstack.find(project, environ={}) is None
