"""Prometheus metrics, this process's and its children's. Names are those of shared conventions; no ids as labels."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

VERSION = "0.1.0"
CREATED = "_created"
"""Samples that say when a counter began. They are left out: in a child's text they are families of their own."""
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

_registry = CollectorRegistry()
_children: dict[str, str] = {}

records = Counter(
    "mainstem_records", "Records by what became of them.", ["integration", "step", "outcome"], registry=_registry
)
end_to_end = Histogram(
    "mainstem_end_to_end_seconds",
    "From an event's ingestion to its being visible in the target.",
    ["integration", "sink"],
    buckets=SECONDS,
    registry=_registry,
)
sink_write = Histogram(
    "mainstem_sink_write_seconds",
    "One batch's write and commit.",
    ["integration", "sink"],
    buckets=SECONDS,
    registry=_registry,
)
undecoded = Counter(
    "mainstem_sink_undecoded_records",
    "Delivered records whose batch was written as a whole, without decoding each of them in Python.",
    ["integration", "sink"],
    registry=_registry,
)
dead_letters = Counter(
    "mainstem_dead_letters", "Records dead-lettered.", ["integration", "step", "code"], registry=_registry
)
table_records = Gauge(
    "mainstem_table_records", "Records of a reference table.", ["integration", "table"], registry=_registry
)
stream_batch = Histogram(
    "mainstem_stream_batch_records",
    "Records of one partition that a stream's function is given together.",
    ["stream"],
    buckets=BATCHES,
    registry=_registry,
)
stream_transaction = Histogram(
    "mainstem_stream_transaction_seconds",
    "From a transaction's first record to its commit: readers of committed records wait for that.",
    ["stream"],
    buckets=SECONDS,
    registry=_registry,
)
stream_commit = Histogram(
    "mainstem_stream_commit_seconds",
    "Of which Kafka took so long to commit.",
    ["stream"],
    buckets=SECONDS,
    registry=_registry,
)
stream_aborts = Counter(
    "mainstem_stream_aborts",
    "Transactions that were aborted; their records are done again.",
    ["stream"],
    registry=_registry,
)
parked_keys = Gauge("mainstem_parked_keys", "Keys with waiting records.", ["integration", "sink"], registry=_registry)
target_open = Gauge(
    "mainstem_target_open",
    "1 while nobody writes to a target because it does not answer (an open circuit breaker), else 0.",
    ["target"],
    registry=_registry,
)
freshness = Gauge(
    "mainstem_freshness_seconds",
    "Age, when it became visible, of the newest event delivered.",
    ["integration", "sink"],
    registry=_registry,
)
lag = Gauge(
    "kafka_consumergroup_lag", "Records not read yet.", ["consumergroup", "topic", "partition"], registry=_registry
)
promise = Gauge(
    "mainstem_promise_seconds",
    "Within how long an integration's owner promises delivery; compare mainstem_end_to_end_seconds.",
    ["integration"],
    registry=_registry,
)
state = Gauge(
    "mainstem_part_running",
    "1 when the part runs, 0 when it waits, is paused or stopped.",
    ["part"],
    registry=_registry,
)
_build = Gauge("mainstem_build_info", "The version that runs.", ["version"], registry=_registry)
_build.labels(VERSION).set(1)


def count(integration: str, step: str, outcome: str) -> int:
    """How many records of this process have had that outcome so far."""
    labels = {"integration": integration, "step": step, "outcome": outcome}
    return int(_registry.get_sample_value("mainstem_records_total", labels) or 0)


def exposition() -> bytes:
    """This process's metrics in Prometheus' text format: what a child sends to its parent."""
    return generate_latest(_registry)


def adopt(child: str, text: str) -> None:
    """Takes over what a child process exposes; it is part of `merged` from now on."""
    _children[child] = text


def merged() -> bytes:
    """This process's and its children's metrics, each family once."""
    return generate_latest(_Merged())


class _Merged(CollectorRegistry):
    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for family in [*_registry.collect(), *_parsed()]:
            if family.name.endswith(CREATED):
                continue
            first = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known = {(s.name, tuple(sorted(s.labels.items()))): i for i, s in enumerate(first.samples)}
            for sample in family.samples:
                if sample.name.endswith(CREATED):
                    continue
                at = known.get((sample.name, tuple(sorted(sample.labels.items()))))
                if at is None:
                    first.samples.append(sample)
                elif family.type in {"counter", "histogram"}:
                    first.samples[at] = first.samples[at]._replace(value=first.samples[at].value + sample.value)
        return families.values()


def _parsed() -> Iterable[Metric]:
    for text in _children.values():
        yield from text_string_to_metric_families(text)
