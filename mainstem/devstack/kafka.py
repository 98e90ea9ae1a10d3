"""Apache Kafka: one node that is broker and controller (KRaft), from Maven's jars."""

from __future__ import annotations

import base64
import socket
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Final

from mainstem.devstack import jvm
from mainstem.devstack.artifacts import locked
from mainstem.devstack.fetch import fetch
from mainstem.devstack.kafka_restart import end_old_session, was_killed
from mainstem.devstack.launch import Launch, failed
from mainstem.devstack.lock import exclusive
from mainstem.devstack.ports import HOST
from mainstem.devstack.process import environment, run, spawn
from mainstem.devstack.stack import Part
from mainstem.devstack.versions import KAFKA

TITLE: Final = f"Apache Kafka {KAFKA}"
CONTROLLER: Final = "controller"
"""The name of its second port."""
HEAP_MB: Final = 512
DEADLINE_S: Final = 90.0

ONE_NODE: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}

FOR_DEVELOPMENT: Final = {
    # A topic is made by `mainstem apply`, with its own settings, or it is a mistake.
    "auto.create.topics.enable": "false",
    "delete.topic.enable": "true",
    # One user on one machine: few internal partitions open faster, and nobody waits for others to join a group.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "250",
    # A killed worker's open transaction holds readers up until it is aborted.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # Each start goes through what has happened to topics since the last picture of the cluster: by default 20 MB of it,
    # which are hundreds of thousands of changes where tests make topics.
    "metadata.log.max.record.bytes.between.snapshots": str(1024 * 1024),
    # The default's 128 MB is a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}

LOGGING: Final = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSX} %p %m (%c{1})%n
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
logger.groups.name = org.apache.kafka.coordinator.group
logger.groups.level = INFO
"""


def properties(ports: Mapping[str, int], data: Path) -> str:
    """The server's configuration file."""
    broker, controller = ports[Part.KAFKA], ports[CONTROLLER]
    places = {
        "listeners": f"BROKER://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"BROKER://{HOST}:{broker}",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "log.dirs": str(data),
    }
    return "".join(f"{name}={value}\n" for name, value in {**ONE_NODE, **FOR_DEVELOPMENT, **places}.items())


def start(launch: Launch) -> int:
    """Downloads what is missing, formats new data, and returns the process id when the broker answers."""
    with exclusive(launch.cache / "kafka.lock"):
        jars = fetch(TITLE, locked("kafka"), launch.cache, launch.progress, launch.cancelled)
    with launch.progress.step(TITLE):
        folder = launch.home.of_part(Part.KAFKA)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        class_path = ["-cp", ":".join(map(str, jars)), f"-Dlog4j2.configurationFile={folder}/log4j2.properties"]
        data = folder / "data"
        if not data.exists():
            _format(launch, class_path, data)
        settings = properties(launch.ports, data)
        if was_killed(data):
            end_old_session(launch, jars, settings, LOGGING)
        configuration = folder / "server.properties"
        configuration.write_text(settings, encoding="utf-8")
        command = jvm.server(launch.home, Part.KAFKA, HEAP_MB)
        log = launch.home.log(Part.KAFKA)
        pid = spawn([*command, *class_path, "kafka.Kafka", configuration], log, environment())
        launch.wait(Part.KAFKA, pid, lambda: answers(launch.ports[Part.KAFKA]), DEADLINE_S)
        return pid


def _format(launch: Launch, class_path: list[str], data: Path) -> None:
    """Makes the empty log folder under a temporary name: a start that is killed here leaves no half-made one."""
    partial = data.with_name("data.part")
    rmtree(partial, ignore_errors=True)
    configuration = data.with_name("format.properties")
    configuration.write_text(properties(launch.ports, partial), encoding="utf-8")
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = ["kafka.tools.StorageTool", "format", "-c", str(configuration), "-t", cluster]
    log = launch.home.log(Part.KAFKA)
    if not run([*jvm.java(*jvm.QUICK), *class_path, *tool], log):
        raise failed(Part.KAFKA, "cannot create its data", log)
    partial.rename(data)


def answers(port: int) -> bool:
    """Whether a broker on that port answers an ApiVersions request (v0); it does once it takes requests at all."""
    correlation = 7
    client = b"mainstem"
    request = struct.pack(">hhih", 18, 0, correlation, len(client)) + client
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(8, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 8 and struct.unpack(">ii", answer)[1] == correlation
