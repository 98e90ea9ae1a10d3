"""The compacted topic `_mainstem.replays`: one record per replay and change. Calls block but for `keep`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import sleep
from typing import Any, Final

from mainstem.codec.message import Message
from mainstem.errors import Misconfigured
from mainstem.kafka.compacted import read_compacted
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.recover.replay.jobs import TOPIC, Job, read_job, record_of

LOOK_EVERY_S: Final = 0.25


async def keep(config: Mapping[str, Any], job: Job) -> None:
    """Writes the job down, so that it can be found by its id or its plan's hash."""
    async with DurableProducer(config) as producer:
        await producer.send([record_of(job)])


def read_jobs(config: Mapping[str, Any]) -> list[Job]:
    """Every replay that is known, the latest change first.

    For a view: an open transaction of somebody who was killed hides the changes after it for a few seconds.
    """
    found: dict[str, Job] = {}
    with reading(config) as reader:
        for messages in reader.read(reader.whole([TOPIC])):
            for message in messages:
                _note(found, message)
    return sorted(found.values(), key=lambda job: job.at, reverse=True)


def find_job(config: Mapping[str, Any], job_id: str) -> Job:
    """The replay of that id as it really is; waits, if need be, until an open transaction has ended.

    Raises Misconfigured when there is none.
    """
    value = read_compacted(config, TOPIC).get(job_id.encode())
    if value is None:
        raise Misconfigured(f"there is no replay {job_id}", fix="see `mainstem replay status`")
    return read_job(value)


def follow(config: Mapping[str, Any], job_id: str, *, every_s: float = LOOK_EVERY_S) -> Iterator[Job | None]:
    """The job as it is, then after every look what has become of it, or None where nothing has.

    Raises Misconfigured when there is no such replay.
    """
    with reading(config) as reader:
        (partition,) = reader.partitions(TOPIC)
        at = reader.bounds(partition)[1]
        yield find_job(config, job_id)
        while True:
            found: dict[str, Job] = {}
            end = reader.bounds(partition)[1]
            for messages in reader.read({partition: (at, end)} if at < end else {}):
                for message in messages:
                    if message.key() == job_id.encode():
                        _note(found, message)
            at = end
            yield found.get(job_id)
            sleep(every_s)


def _note(found: dict[str, Job], message: Message) -> None:
    job_id, value = (message.key() or b"").decode(), message.value()
    if value is None:
        found.pop(job_id, None)
    else:
        found[job_id] = read_job(value)
