"""A replay into a file: there as a whole or not at all, and taken up where it was."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mainstem.codec.message import Message
from mainstem.errors import Misconfigured, Refused
from mainstem.event import Partition
from mainstem.recover.replay import Happening, Job, LinesFile, Range, part_of, planned
from mainstem.recover.replay.jobs import Outcome
from tests.unit.recover.letters import TOPIC, sold
from tests.unit.recover.test_replay_plan import made

P0 = Partition(TOPIC, 0)


def line(message: Message) -> bytes:
    return f"line {message.offset()}".encode()


def text(*offsets: int) -> str:
    return "".join(f"line {offset}\n" for offset in offsets)


def job_at(settled: int, records: int = 4) -> Job:
    job = planned(made(ranges=(Range(*P0, 0, records, records),))).on(Happening.BEGIN)
    return job.after(settled, 0, Outcome(settled, ()), {P0: settled}) if settled else job


async def write(file: LinesFile, job: Job, *offsets: int) -> None:
    await file.begin(job)
    await file.deliver([sold(offset, "e") for offset in offsets])


def do(*steps: Callable[[], Awaitable[object]]) -> None:
    async def doing() -> None:
        for step in steps:
            await step()

    asyncio.run(doing())


def test_the_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(0)
    with LinesFile(path, job.id, line) as file:
        do(lambda: write(file, job, 0, 1))
        assert not path.exists()
        assert part_of(path, job.id).read_text() == text(0, 1)
        do(lambda: file.finish(job))

    assert path.read_text() == text(0, 1)
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_not_settled_is_cut_off_and_written_again(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(2)
    part_of(path, job.id).write_text(text(0, 1, 2) + "half a li")

    with LinesFile(path, job.id, line) as file:
        do(lambda: write(file, job, 2, 3), lambda: file.finish(job))

    assert path.read_text() == text(0, 1, 2, 3)


def test_a_new_replay_begins_anew_whatever_was_left_under_its_id(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(0)
    part_of(path, job.id).write_text(text(7))

    with LinesFile(path, job.id, line) as file:
        do(lambda: write(file, job, 0), lambda: file.finish(job))

    assert path.read_text() == text(0)


@pytest.mark.parametrize("left", [None, text(0), text(0) + "half a li"])
def test_an_unfinished_file_that_is_not_what_the_job_left_is_refused(tmp_path: Path, left: str | None) -> None:
    path, job = tmp_path / "out.ndjson", job_at(2)
    if left is not None:
        part_of(path, job.id).write_text(left)

    with LinesFile(path, job.id, line) as file, pytest.raises(Refused, match="does not hold the 2 records"):
        do(lambda: file.begin(job))


@pytest.mark.parametrize("settled", [0, 2])
def test_an_existing_file_is_never_replaced(tmp_path: Path, settled: int) -> None:
    path, job = tmp_path / "out.ndjson", job_at(settled)
    path.write_text("somebody's\n")

    with LinesFile(path, job.id, line) as file, pytest.raises(Refused, match="is there already"):
        do(lambda: file.begin(job))

    assert path.read_text() == "somebody's\n"


def test_a_file_that_appears_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(0)
    with LinesFile(path, job.id, line) as file:
        do(lambda: write(file, job, 0))
        path.write_text("somebody's\n")
        with pytest.raises(Refused, match="is there already"):
            do(lambda: file.finish(job))

    assert path.read_text() == "somebody's\n"
    assert part_of(path, job.id).read_text() == text(0)


def test_a_crash_between_the_name_and_the_note_is_no_harm(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(4)
    path.write_text(text(0, 1, 2, 3))

    with LinesFile(path, job.id, line) as file:
        do(lambda: file.begin(job), lambda: file.finish(job))

    assert path.read_text() == text(0, 1, 2, 3)


def test_a_replay_of_nothing_makes_an_empty_file_and_replaces_none(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(0, records=0)
    with LinesFile(path, job.id, line) as file:
        do(lambda: file.begin(job), lambda: file.finish(job))
    assert path.read_text() == ""

    with LinesFile(path, job.id, line) as file, pytest.raises(Refused, match="is there already"):
        do(lambda: file.begin(job))


def test_a_disk_that_refuses_leaves_no_half_batch_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, job = tmp_path / "out.ndjson", job_at(0)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with LinesFile(path, job.id, line) as file:
        do(lambda: write(file, job, 0))
        with monkeypatch.context() as patched, pytest.raises(Misconfigured, match="No space left"):
            patched.setattr(os, "fsync", full)
            do(lambda: file.deliver([sold(1, "e")]))
        do(lambda: file.deliver([sold(1, "e")]))

    assert part_of(path, job.id).read_text() == text(0, 1)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path, job = tmp_path / "out.ndjson", job_at(0)
    with LinesFile(path, job.id, line) as file:
        do(lambda: write(file, job, 0), lambda: file.finish(job))

    assert path.stat().st_mode & 0o777 == 0o600
