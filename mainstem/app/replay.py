"""Delivers replayed records into one sink's target, apart from the live worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from mainstem.app.services import Services
from mainstem.app.sinks import plan_of
from mainstem.codec.message import Message, origin_of
from mainstem.codec.registry import Definition
from mainstem.deliver.direct_target import DirectTarget
from mainstem.deliver.place import Placement
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.errors import Misconfigured, Unreachable
from mainstem.event import Partition
from mainstem.flow.item import OnFailure
from mainstem.project.discover import build_sink
from mainstem.project.model import Project, SinkSpec
from mainstem.recover.replay import Outcome, Rejection, Sight
from mainstem.sdk.sink import Claim, SinkIdentity, Target, TransactionalSink


def sight_of(services: Services) -> Sight:
    """Looks into records as the project's schemas have them."""
    return Sight(services.codec.decoder, partial(_definition, services.project))


def _definition(project: Project, topic: str) -> Definition:
    found = project.schemas.get(topic)
    if found is None:
        raise Misconfigured(f"there is no schema for the topic {topic} in schemas/", fix="add it, or leave out --where")
    return found.definition


@asynccontextmanager
async def replay_delivery(services: Services, spec: SinkSpec, replay_id: str) -> AsyncIterator[ReplayDelivery]:
    """Opens the sink's target for one replay.

    An exactly-once target keeps the replay's own offsets, under the sink's name with `.replay.<id>` behind it: the same
    replay goes on where it was after a crash, and the live worker's offsets and parked keys are not touched.
    """
    plan = replace(plan_of(services, spec), dlq=None, redrive=None, on_failure=OnFailure.SKIP)
    preparer = Preparer(plan, services.codec.decoder)
    connector = build_sink(services.project, spec)
    if isinstance(connector, TransactionalSink):
        topic_ids = await asyncio.to_thread(services.admin.topic_ids, list(plan.topics))
        identity = SinkIdentity(spec.integration, f"{spec.name}.replay.{replay_id}", topic_ids, is_beside_live=True)
        async with connector.open(identity) as target:
            yield ReplayDelivery(plan, preparer, target)
    else:
        async with connector.open() as write:
            yield ReplayDelivery(plan, preparer, DirectTarget(write))


class ReplayDelivery:
    """Called with each batch of a replay, in order."""

    def __init__(self, plan: SinkPlan, preparer: Preparer, target: Target) -> None:
        self._preparer = preparer
        self._target = target
        self._placement = Placement(plan, target)
        self._claims: dict[Partition, Claim] = {}

    async def __call__(self, messages: Sequence[Message]) -> Outcome:
        """Delivers what an earlier run of the same replay has not. Raises Retryable, Misconfigured or Fenced.

        After Unreachable nobody knows what was committed: the next call takes the partitions over anew and asks.
        """
        await self._claim({_partition(message) for message in messages} - self._claims.keys())
        due = [message for message in messages if self._is_due(message)]
        if not due:
            return Outcome(0, [])
        items = await asyncio.to_thread(self._preparer.prepare, due)
        ends = {item.partition: item.offset + 1 for item in items}
        try:
            settlement = await self._placement.place(items, self._claims, ends, ())
        except Unreachable:
            self._claims.clear()
            raise
        for partition, end in ends.items():
            self._claims[partition] = replace(self._claims[partition], next_offset=end)
        rejected = [
            Rejection(origin_of(item.message), failure.error.code.number, failure.error.cause)
            for item, failure in settlement.letters
        ]
        return Outcome(len(settlement.delivered), rejected)

    async def _claim(self, partitions: set[Partition]) -> None:
        if partitions:
            for claim in await self._target.take_over(partitions):
                self._claims[claim.partition] = claim

    def _is_due(self, message: Message) -> bool:
        following = self._claims[_partition(message)].next_offset
        return following is None or origin_of(message).offset >= following


def _partition(message: Message) -> Partition:
    topic, number, _ = origin_of(message)
    return Partition(topic, number)
