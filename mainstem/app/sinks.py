"""One sink of the project as a running worker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from mainstem.app.services import Services
from mainstem.deliver.gate import Gate
from mainstem.deliver.guarded_target import GuardedTarget
from mainstem.deliver.lane_worker import LaneWorker
from mainstem.deliver.ledger import KafkaLedger
from mainstem.deliver.outbox import Outbox
from mainstem.deliver.persistence import PROBE_S
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.deliver.tenure import PlainSink
from mainstem.deliver.worker import SinkWorker
from mainstem.errors import TOPIC_MISSING, Misconfigured
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.consumer import GroupConsumer
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.project.discover import build_sink, find_mapping
from mainstem.project.model import SinkSpec
from mainstem.sdk.sink import Sink, SinkIdentity, TransactionalSink


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
        max_parked_keys=spec.delivery.max_parked_keys,
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
    takes_undecoded = isinstance(connector, TransactionalSink) and connector.takes_undecoded
    preparer = Preparer(plan, services.codec.decoder, takes_undecoded=takes_undecoded)
    consumer = GroupConsumer(
        services.member_config,
        plan.group,
        plan.subscribed,
        batch=plan.batch_events,
        batch_bytes=spec.batch.max_bytes,
    )
    identity = SinkIdentity(spec.integration, spec.name, topic_ids)
    async with _worker(services, plan, connector, Parts(consumer, preparer, report, identity)) as worker:
        watcher = asyncio.create_task(_stop_with(stop, worker))
        try:
            await worker.run()
        finally:
            watcher.cancel()


async def _stop_with(stop: asyncio.Event, worker: SinkWorker | LaneWorker) -> None:
    await stop.wait()
    worker.stop()


@dataclass(frozen=True)
class Parts:
    """What both kinds of workers are made of."""

    consumer: GroupConsumer
    preparer: Preparer
    report: Report
    identity: SinkIdentity


@asynccontextmanager
async def _worker(
    services: Services, plan: SinkPlan, connector: Sink | TransactionalSink, parts: Parts
) -> AsyncIterator[SinkWorker | LaneWorker]:
    if isinstance(connector, TransactionalSink):
        async with _transactional(services, plan, connector, parts) as transactional:
            yield transactional
    else:
        async with _plain(services, plan, connector, parts) as plain:
            yield plain


@asynccontextmanager
async def _transactional(
    services: Services, plan: SinkPlan, connector: TransactionalSink, parts: Parts
) -> AsyncIterator[SinkWorker]:
    name = connector.target_name() or plan.part
    breaker = services.breakers.of(name)
    with breaker.heard_by(partial(parts.report.target, name)):
        async with connector.open(parts.identity) as opened:
            target = GuardedTarget(opened, name, breaker)
            async with (
                Outbox(services.config, plan.part, target, parts.identity.topic_ids.get) as outbox,
                parts.consumer,
            ):
                yield SinkWorker(plan, parts.consumer, target, parts.preparer, outbox, parts.report)


@asynccontextmanager
async def _plain(services: Services, plan: SinkPlan, connector: Sink, parts: Parts) -> AsyncIterator[LaneWorker]:
    if plan.dlq is None:
        raise ValueError("a live worker has a dead-letter topic")
    name = connector.target_name() or plan.part
    gate = Gate(services.breakers.of(name), PROBE_S)
    async with (
        connector.open() as write,
        TransactionalProducer(services.config, f"mainstem.{plan.part}.{uuid.uuid4().hex}") as producer,
        parts.consumer,
    ):
        sink = PlainSink(write, gate, plan.dlq, name, connector.in_flight, connector.records_per_write)
        ledger = KafkaLedger(services.config, plan.dlq, producer, parts.consumer)
        yield LaneWorker(plan, parts.consumer, sink, ledger, parts.preparer, parts.report)
