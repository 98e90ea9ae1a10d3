"""Encryption and logins, against a broker that insists on them."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.auth import SASLMechanism

from mainstem.errors import CREDENTIALS_REFUSED, Misconfigured
from mainstem.kafka.lag import GroupLag
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.process.engine import Engine, EngineSettings
from mainstem.process.librdkafka import App, EngineOptions, Event, Message
from mainstem.process.runner import Made
from tests.integration.kafka.secured import PASSWORD, SCRAM, USER, SecuredBroker, secured_broker

pytestmark = pytest.mark.stack

WITHIN_S = 60.0
WORKER = """
import faust
from mainstem.process.librdkafka import App, EngineOptions

app = App(
    "c.app",
    broker="librdkafka://{broker}",
    processing_guarantee="{guarantee}",
    datadir="{datadir}",
    engine=EngineOptions(member="w1", client={client!r}),
)
app.step("c.in.v1")(lambda event, table: None)
faust.Worker(app, loglevel="info").execute_from_commandline()
"""
VALUES = [b"%d" % number for number in range(50)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.mark.parametrize("mechanism", ["PLAIN", SCRAM])
async def test_a_stream_and_all_that_looks_at_it_log_in(broker: SecuredBroker, tmp_path: Path, mechanism: str) -> None:
    config = broker.settings(mechanism).client_properties()
    reads, writes, group = f"a.in{mechanism}.v1", f"a.out{mechanism}.v1", f"a.group{mechanism}"
    await publish(config, reads, writes)

    async def step(messages: Sequence[Message]) -> Made:
        return Made([Record(writes, None, message.value()) for message in messages], lambda: None)

    engine = Engine(EngineSettings(group, reads, config, tmp_path, "w1"), step)
    stop = asyncio.Event()
    running = asyncio.create_task(engine.run(stop))
    await seen(config, writes)
    stop.set()
    await running
    with GroupLag(config, group, [reads]) as lag:
        assert sum(lag.read().values()) <= 1  # the marker of the transaction that wrote them


async def test_an_app_of_faust_logs_in_with_its_own_credentials(broker: SecuredBroker, tmp_path: Path) -> None:
    config = broker.settings(SCRAM).client_properties()
    await publish(config, "b.in.v1", "b.out.v1")
    credentials = faust.SASLCredentials(
        username=USER,
        password=PASSWORD,
        mechanism=SASLMechanism.SCRAM_SHA_512,
        ssl_context=ssl.create_default_context(cafile=str(broker.authorities)),
    )
    ended: list[str] = []
    app = App(
        "b.app",
        broker=f"librdkafka://{broker.address}",
        broker_credentials=credentials,
        processing_guarantee="exactly_once",
        store="memory://",
        datadir=tmp_path,
        topic_disable_leader=True,
        web_enabled=False,
        engine=EngineOptions(member="w1", ends=ended.append),
    )

    @app.step("b.in.v1", writes="b.out.v1")
    def pass_on(event: Event, _table: Any) -> Event:
        return event

    async with started(app):
        await seen(config, "b.out.v1")
    assert ended == []


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a_worker_of_faust_says_that_its_login_is_refused(
    broker: SecuredBroker, tmp_path: Path, guarantee: str
) -> None:
    client = broker.settings("PLAIN", password="wrong").client_properties()
    del client["bootstrap.servers"]
    program = WORKER.format(broker=broker.address, guarantee=guarantee, datadir=str(tmp_path), client=client)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode != 0
    assert "Kafka refuses the login" in ended.stdout + ended.stderr
    assert "see broker_credentials" in ended.stdout + ended.stderr


def test_a_wrong_password_is_told_from_a_broker_that_is_away(broker: SecuredBroker) -> None:
    config = broker.settings("PLAIN", password="wrong").client_properties()
    with pytest.raises(Misconfigured) as caught:
        Admin(config).topics()
    assert caught.value.code is CREDENTIALS_REFUSED
    assert "wrong" not in str(caught.value)


def test_a_broker_that_nobody_trusted_vouches_for_is_refused(broker: SecuredBroker) -> None:
    config = broker.settings("PLAIN").client_properties()
    del config["ssl.ca.location"]
    with pytest.raises(Misconfigured) as caught:
        Admin(config).topics()
    assert caught.value.code is CREDENTIALS_REFUSED
    assert "certificate" in str(caught.value)


async def publish(config: dict[str, str], reads: str, writes: str) -> None:
    Admin(config).create([TopicSpec(reads, 1), TopicSpec(writes, 1)])
    async with DurableProducer(config) as producer:
        await producer.send([Record(reads, None, value) for value in VALUES])


async def seen(config: dict[str, str], topic: str) -> None:
    """Returns when the values are all there, once and in order."""

    def read() -> list[bytes | None]:
        with reading(config) as reader:
            return [message.value() for batch in reader.read(reader.whole([topic])) for message in batch]

    found: list[bytes | None] = []
    async with asyncio.timeout(WITHIN_S):
        while len(found) < len(VALUES):
            found = await asyncio.to_thread(read)
    assert found == VALUES


@asynccontextmanager
async def started(app: App) -> AsyncIterator[None]:
    app.in_worker = True
    app.finalize()
    async with asyncio.TaskGroup() as group:
        group.create_task(app.start())
        yield
        await app.stop()
