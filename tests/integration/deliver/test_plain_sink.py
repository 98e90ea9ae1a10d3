"""Plain sinks on a real broker: Kafka keeps offsets, dead letters and parked keys for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstem import devstack
from mainstem.app.services import Services
from mainstem.deliver.report import Report
from mainstem.kafka import membership
from mainstem.observe import metrics
from mainstem.observe.board import State
from tests.demo_copy import DemoCopy, copy_demo
from tests.http_target import HttpTarget
from tests.integration.deliver.conftest import give_plain_sink
from tests.integration.deliver.test_sink_worker import letters, payment, publish, redrive, running, statuses, until

pytestmark = pytest.mark.stack

LINES = """
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from mainstem import Mapped, Rejected, Sink, Write


class LinesSink(Sink):
    path: Path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Write]:
        async def write(records: Sequence[Mapped]) -> None:
            is_open = self.path.with_suffix(".open").exists()
            if any(row["account"] == "SPIRITS" for record in records for row in record.rows) and not is_open:
                raise Rejected("no such account")
            with self.path.open("a") as file:
                file.writelines(f"{record.event.id}\\n" for record in records)

        yield write
"""


@pytest.fixture
def lines(tmp_path: Path, stack: devstack.Stack) -> DemoCopy:
    copy = copy_demo(tmp_path, stack)
    give_plain_sink(copy, "lines", LINES, f"path: {tmp_path / 'out.txt'}")
    return copy


@pytest.fixture
def lines_services(lines: DemoCopy) -> Iterator[Services]:
    with lines.services() as connected:
        yield connected


async def test_offsets_letters_and_parked_keys_survive_a_restart_and_a_redrive_releases_the_key(
    lines: DemoCopy, lines_services: Services
) -> None:
    out, services = lines.folder / "out.txt", lines_services

    def written() -> list[str]:
        return out.read_text().split() if out.exists() else []

    await publish(lines, [payment(n) for n in range(20)], services)
    await publish(lines, [payment(7, department="SPIRITS").replace(id="till:7b")], services)
    async with running(lines, services):
        await until(lambda: {f"till:{n}" for n in range(20)} <= set(written()))
        await until(lambda: len(letters(services, lines.dlq)) == 1)
    before = len(written())
    await publish(lines, [payment(7).replace(id="till:7c"), payment(21)], services)
    async with running(lines, services):
        await until(lambda: "till:21" in written() and len(letters(services, lines.dlq)) == 2)
        assert written()[before:] == ["till:21"], "what was delivered is not delivered again, and the key waits"
        out.with_suffix(".open").touch()
        await redrive(lines, services)
        await until(lambda: set(statuses(services, lines.dlq).values()) == {"delivered"})
        await publish(lines, [payment(7).replace(id="till:7d")], services)
        await until(lambda: "till:7d" in written())
    assert written()[before + 1 :] == ["till:7b", "till:7c", "till:7d"]


async def test_a_slow_key_does_not_hold_up_the_others(
    posting: DemoCopy, posting_services: Services, target: HttpTarget
) -> None:
    target.hangs.add("till:0")
    slow = [payment(0), payment(0).replace(id="till:0b")]
    await publish(posting, [*slow, *(payment(n) for n in range(1, 300))], posting_services)
    async with running(posting, posting_services):
        await until(lambda: len(target.effects) == 299)
        target.hangs.clear()
        await until(lambda: len(target.effects) == 301)
    assert target.ids()[-2:] == ["till:0", "till:0b"]
    assert max(Counter(target.ids()).values()) == 1


async def test_a_retry_that_takes_longer_than_the_poll_interval_keeps_the_membership(
    posting: DemoCopy, posting_services: Services, target: HttpTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(membership.DEFAULTS, "max.poll.interval.ms", 2_000)
    monkeypatch.setitem(membership.DEFAULTS, "session.timeout.ms", 2_000)
    monkeypatch.setattr(type(posting_services), "member_config", posting_services.config)
    took_over: list[int] = []
    owns = Report.owns

    def counted(self: Report, partitions: int, parked: int) -> None:
        took_over.append(partitions)
        owns(self, partitions, parked)

    monkeypatch.setattr(Report, "owns", counted)
    target.retry_after_s = 5
    target.busy_once.add("till:0")
    await publish(posting, [payment(0)], posting_services)
    async with running(posting, posting_services):
        await until(lambda: target.requests["till:0"] == 1)
        await publish(posting, [payment(1)], posting_services)
        await until(lambda: "till:1" in target.ids())
        await until(lambda: "till:0" in target.ids())
    assert target.ids() == ["till:1", "till:0"]
    assert len(took_over) == 1


async def test_an_outage_opens_the_breaker_and_ends_by_itself(
    posting: DemoCopy, posting_services: Services, target: HttpTarget
) -> None:
    board, part = posting_services.board, f"{posting.integration}.journal"
    name = target.url.removeprefix("http://").rstrip("/")
    async with running(posting, posting_services):
        await publish(posting, [payment(n) for n in range(50)], posting_services)
        await until(lambda: len(target.effects) == 50)
        await asyncio.to_thread(target.stop)
        await publish(posting, [payment(n) for n in range(50, 100)], posting_services)
        await until(lambda: board.parts()[part].state is State.WAITING)
        assert board.parts()[part].reason == f"nobody listens at {name}"
        assert f'mainstem_target_open{{target="{name}"}} 1.0' in metrics.merged().decode()
        await asyncio.to_thread(target.start)
        await until(lambda: len(target.effects) == 100)
        await until(board.is_ready)
        assert f'mainstem_target_open{{target="{name}"}} 0.0' in metrics.merged().decode()
    assert letters(posting_services, posting.dlq) == []
    assert max(Counter(target.ids()).values()) == 1


async def test_one_parked_key_too_many_pauses_the_sink_until_a_redrive_has_made_room(
    posting: DemoCopy, target: HttpTarget
) -> None:
    yaml = f"integrations/{posting.integration}.yaml"
    posting.edit(yaml, "on_failure: park", "on_failure: park\n      max_parked_keys: 2")
    refused = {f"till:{n}" for n in range(3)}
    target.refused = refused.__contains__
    with posting.services() as services:
        board, part = services.board, f"{posting.integration}.journal"
        await publish(posting, [payment(n) for n in range(3)], services)
        async with running(posting, services):
            await until(lambda: part in board.parts() and board.parts()[part].code == "MS-214")
            await until(lambda: len(letters(services, posting.dlq)) == 2)
            await publish(posting, [payment(n) for n in range(3, 40)], services)
            assert board.parts()[part].state is State.PAUSED
            waiting = {letter["ce_id"].decode() for letter in letters(services, posting.dlq)}
            refused -= waiting
            await redrive(posting, services)
            await until(lambda: waiting | {f"till:{n}" for n in range(3, 40)} == set(target.ids()))
            await until(lambda: set(statuses(services, posting.dlq).values()) == {"delivered", "waiting"})
            await until(board.is_ready)
        assert statuses(services, posting.dlq)[refused.pop()] == "waiting"
