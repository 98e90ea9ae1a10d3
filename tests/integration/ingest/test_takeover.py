"""Two processes that host the same source: one reads, the other takes over; nothing is lost, doubled or reordered."""

from __future__ import annotations

import signal
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from mainstem.app.services import Services
from mainstem.devstack import Stack
from mainstem.kafka.transaction import TransactionalProducer
from tests.backbone_process import BackboneProcess, until
from tests.chaos.oracle import History, Mark, judge
from tests.file_project import FileProject, open_project, progress, read_marks

pytestmark = pytest.mark.stack

LINES = 10_000
BATCH = 10
IN_THE_MIDDLE = LINES // 10
TAKES_OVER_WITHIN_S = 15.0
HANDS_OVER_WITHIN_S = 5.0
SESSION_S = 2.0


@dataclass(frozen=True)
class Two:
    """Two processes of one project with one source, and the lines that its file has."""

    project: FileProject
    services: Services
    owner: BackboneProcess
    other: BackboneProcess
    written: list[Mark]

    @property
    def part(self) -> str:
        return self.project.parts[0]

    def published_by(self, process: BackboneProcess) -> float:
        labels = f'{{integration="{self.project.integration}",outcome="published",step="ingest"}}'
        return process.metric(f"mainstem_records_total{labels}") or 0.0

    def until_in_the_middle(self) -> None:
        until(lambda: self.published_by(self.owner) > IN_THE_MIDDLE, what=self.owner.parts)
        assert self.published_by(self.owner) < LINES / 2, "the file is read too fast for its reader to be in the middle"

    def took_over(self, struck: Callable[[], object]) -> float:
        """Seconds from the fault until the other one's next batch is durable."""
        before = self.published_by(self.other)
        began = monotonic()
        struck()
        until(lambda: self.published_by(self.other) > before, what=self.other.parts)
        return monotonic() - began

    def assert_exact(self) -> None:
        """Each line once, in order per key, when all are durable."""
        until(lambda: [done for _, done in progress(self.services, self.project)] == [LINES], within_s=120)
        published = {mark.event_id: mark for mark in self.written}
        seen = read_marks(self.services, self.project.topic, published)
        assert judge(History(self.written, seen)).examples() == []


@contextmanager
def two(folder: Path, stack: Stack, ports: list[int], session_s: float | None = None) -> Iterator[Two]:
    """One of them has the source and the other stands by when the lines are put into the file."""
    project = open_project(folder, uuid.uuid4().hex[:10], stack, batch_events=BATCH)
    owner, other = (project.process(port, session_s=session_s) for port in ports)
    with project.services() as services, owner, other:
        owner.start("--only", "sources").until_ready()
        other.start("--only", "sources").until_ready()
        (part,) = project.parts
        until(lambda: {each.parts()[part]["state"] for each in (owner, other)} == {"running", "standby"})
        if owner.says(part, "standby"):  # which of the two has it is the group's choice
            owner, other = other, owner
        yield Two(project, services, owner, other, project.write(0, LINES))


@pytest.fixture
def ports() -> list[int]:
    """Two on which nobody listens."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(2)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def test_a_killed_reader_is_succeeded_in_time(tmp_path: Path, stack: Stack, ports: list[int]) -> None:
    with two(tmp_path, stack, ports) as it:
        it.until_in_the_middle()
        assert it.other.says(it.part, "standby")
        assert it.other.get("/readyz")[0] == 200

        took = it.took_over(it.owner.kill)

        print(f"taken over {took:.2f} s after kill -9 (session of 10 s)")  # noqa: T201
        assert took < TAKES_OVER_WITHIN_S
        it.assert_exact()


def test_a_reader_that_was_asleep_writes_nothing_more(tmp_path: Path, stack: Stack, ports: list[int]) -> None:
    with two(tmp_path, stack, ports, SESSION_S) as it:
        it.until_in_the_middle()
        it.took_over(lambda: it.owner.send(signal.SIGSTOP))
        said = len(it.owner.log())

        it.owner.send(signal.SIGCONT)

        until(lambda: it.part in it.owner.log()[said:], what=it.owner.parts)
        since = it.owner.log()[said:]
        assert '"standby"' in since or '"sources left"' in since
        it.owner.until_ready()
        it.assert_exact()


def test_a_stop_hands_over_at_once(tmp_path: Path, stack: Stack, ports: list[int]) -> None:
    with two(tmp_path, stack, ports) as it:
        it.until_in_the_middle()

        took = it.took_over(it.owner.stop)

        print(f"handed over {took:.2f} s after SIGTERM")  # noqa: T201
        assert took < HANDS_OVER_WITHIN_S
        it.assert_exact()


async def test_whoever_has_the_partition_takes_a_robbed_source_back(
    tmp_path: Path, stack: Stack, ports: list[int]
) -> None:
    with two(tmp_path, stack, ports) as it:
        it.until_in_the_middle()

        async with TransactionalProducer(it.services.config, f"mainstem.{it.part}"):
            until(lambda: it.owner.says(it.part, "standby", "MS-401"), what=it.owner.parts)

        it.assert_exact()
