"""What a killed broker needs before it starts again: a controller that knows that it was gone.

A broker that is back before its old session is over leads its partitions from its last picture of the cluster, then
loses them all for a moment, and gets them back. Transactions that end in that moment get no marker, since Kafka 4.0 to
at least 4.3.1 takes a partition without a leader for a deleted one (KAFKA-20734): their readers wait for ever, or see
what was aborted when the next transaction of the same producer commits. With one node that moment comes at each quick
start after a kill. Here the controller runs alone until it has seen the session end; no partition has a leader then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from mainstem.devstack import jvm
from mainstem.devstack.fetch import Cancelled
from mainstem.devstack.launch import Launch
from mainstem.devstack.process import LOOK_EVERY_S, end, environment, is_alive, spawn
from mainstem.devstack.stack import Part

HEAP_MB: Final = 256
DEADLINE_S: Final = 30.0
ACTIVE: Final = "Performing controller activation"
FENCED: Final = "because its session has timed out"
QUIET_S: Final = 3.0
"""A controller that has been active for so long without ending a session had none: the broker had left by itself."""

SHORT_SESSION: Final = {"broker.session.timeout.ms": "500", "broker.heartbeat.interval.ms": "100"}
BROKERS_OWN: Final = ("advertised.", "inter.broker.")
LOGGER: Final = """\
logger.controller.name = org.apache.kafka.controller
logger.controller.level = INFO
"""


def was_killed(data: Path) -> bool:
    """Whether the broker has run on that data, and has not left by itself: Kafka's own mark is missing then."""
    return (data / "__cluster_metadata-0").exists() and not (data / ".kafka_cleanshutdown").exists()


def controller_only(broker: str) -> str:
    """The configuration of the broker's controller alone, made from that of both."""
    settings = dict(line.split("=", 1) for line in broker.splitlines())
    settings = {name: value for name, value in settings.items() if not name.startswith(BROKERS_OWN)}
    (listener,) = (part for part in settings["listeners"].split(",") if part.startswith("CONTROLLER:"))
    settings |= {"process.roles": "controller", "listeners": listener, **SHORT_SESSION}
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def end_old_session(launch: Launch, jars: Sequence[Path], broker: str, logging: str) -> None:
    """Returns when no broker is registered as alive. Where that does not come about the broker starts all the same."""
    folder = launch.home.of_part(Part.KAFKA)
    log = launch.home.log(Part.KAFKA).with_name("kafka-controller.log")
    configuration, loggers = folder / "controller.properties", folder / "controller-log4j2.properties"
    configuration.write_text(controller_only(broker), encoding="utf-8")
    loggers.write_text(logging + LOGGER, encoding="utf-8")
    command = jvm.server(launch.home, Part.KAFKA, HEAP_MB, jvm.QUICK)
    class_path = ["-cp", ":".join(map(str, jars)), f"-Dlog4j2.configurationFile={loggers}"]
    pid = spawn([*command, *class_path, "kafka.Kafka", configuration], log, environment())
    try:
        _wait(launch, pid, log)
    finally:
        end([pid])


def _wait(launch: Launch, pid: int, log: Path) -> None:
    give_up_at = monotonic() + DEADLINE_S
    while is_alive(pid) and monotonic() < give_up_at:
        text = log.read_text(encoding="utf-8", errors="replace")
        if FENCED in text:
            return
        if ACTIVE in text:
            give_up_at = min(give_up_at, monotonic() + QUIET_S)
        if launch.cancelled.wait(LOOK_EVERY_S):
            raise Cancelled
