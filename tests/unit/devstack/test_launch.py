from __future__ import annotations

from pathlib import Path

from mainstem.devstack.launch import SHOWN_CHARS, failed, telling_line
from mainstem.devstack.stack import Part
from mainstem.errors import STACK_FAILED

KAFKA_LOG = """\
2026-11-24T22:29:36.551Z INFO starting (KafkaRaftServer)
2026-11-24T22:29:36.600Z ERROR Exiting Kafka due to fatal exception (Kafka$)
java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\tat java.base/sun.nio.ch.Net.bind(Net.java:565)
2026-11-24T22:29:36.700Z INFO shutting down (KafkaRaftServer)
"""


def test_an_error_quotes_the_cause_and_not_what_came_after() -> None:
    assert telling_line(KAFKA_LOG) == "java.net.BindException: Address already in use"


def test_without_an_error_the_last_line_is_quoted() -> None:
    assert telling_line("one\ntwo\n\n") == "two"


def test_an_empty_log_tells_nothing() -> None:
    assert telling_line("\n") == ""


def test_a_long_line_is_cut() -> None:
    assert len(telling_line("ERROR " + "x" * 1000)) == SHOWN_CHARS


def test_the_error_names_part_and_log_file(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text(KAFKA_LOG)
    error = failed(Part.KAFKA, "ended while it was starting", log)
    assert error.code is STACK_FAILED
    assert error.cause == "kafka ended while it was starting: java.net.BindException: Address already in use"
    assert error.fix == f"read {log}"


def test_the_error_stands_without_a_log(tmp_path: Path) -> None:
    assert failed(Part.KAFKA, "is not ready after 90 s", tmp_path / "none").cause == "kafka is not ready after 90 s"
