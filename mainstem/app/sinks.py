"""One sink of the project as a running worker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from mainstem.app.services import Services
from mainstem.deliver.kafka_target import Group, KafkaTarget
from mainstem.deliver.outbox import Outbox
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.deliver.worker import SinkWorker
from mainstem.errors import TOPIC_MISSING, Misconfigured
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.consumer import GroupConsumer
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.project.discover import build_sink, find_mapping
from mainstem.project.model import SinkSpec
from mainstem.sdk.sink import Sink, SinkIdentity, Target, TransactionalSink


def plan_of(services: Services, spec: SinkSpec) -> SinkPlan:
    """What the sink's worker is to do, from the project's files."""
    retry = spec.delivery.retry
    return SinkPlan(
        integration=spec.integration,
        sink=spec.name,
        topics=spec.topics,
        group=spec.group,
        dlq=spec.dead_letters,
        redrive=spec.redrive,
        mapping=find_mapping(services.project, spec),
        on_failure=OnFailure(spec.delivery.on_failure),
        retry=RetryPolicy(retry.attempts, retry.first_s, retry.max_s),
        batch_events=spec.batch.max_records,
    )


async def run_sink(services: Services, spec: SinkSpec, stop: asyncio.Event) -> None:
    """Runs the sink until `stop`, or until it is paused and its settings change. Raises what keeps it from starting."""
    connector = build_sink(services.project, spec)
    plan = replace(plan_of(services, spec), is_outdated=lambda: build_sink(services.project, spec) != connector)
    topic_ids = await asyncio.to_thread(services.admin.topic_ids, plan.subscribed)
    missing = set(plan.subscribed) - topic_ids.keys()
    if missing:
        raise Misconfigured(f"{plan.part} reads {', '.join(sorted(missing))}: no such topic", code=TOPIC_MISSING)
    report = Report(plan, services.board, services.latencies)
    preparer = Preparer(plan, services.codec.decoder)
    consumer = GroupConsumer(services.config, plan.group, plan.subscribed, batch=plan.batch_events)
    async with (
        _target(services, plan, connector, SinkIdentity(spec.integration, spec.name, topic_ids), consumer) as target,
        Outbox(services.config, plan.part, target, topic_ids.get) as outbox,
        consumer,
    ):
        worker = SinkWorker(plan, consumer, target, preparer, outbox, report)
        watcher = asyncio.create_task(_stop_with(stop, worker))
        try:
            await worker.run()
        finally:
            watcher.cancel()


async def _stop_with(stop: asyncio.Event, worker: SinkWorker) -> None:
    await stop.wait()
    worker.stop()


@asynccontextmanager
async def _target(
    services: Services,
    plan: SinkPlan,
    connector: Sink | TransactionalSink,
    identity: SinkIdentity,
    consumer: GroupConsumer,
) -> AsyncIterator[Target]:
    if isinstance(connector, TransactionalSink):
        async with connector.open(identity) as target:
            yield target
        return
    if plan.dlq is None:
        raise ValueError("a live worker has a dead-letter topic")
    group = Group(consumer.group_metadata, consumer.committed)
    async with (
        connector.open() as write,
        TransactionalProducer(services.config, f"mainstem.{plan.part}.{uuid.uuid4().hex}") as producer,
    ):
        yield KafkaTarget(services.config, plan.dlq, write, producer, group)
