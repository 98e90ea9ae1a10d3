"""One exposition of a process and its children: each family once, counters summed, valid for Prometheus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Counted
from prometheus_client.parser import text_string_to_metric_families

from mainstem.observe import metrics


@pytest.fixture(autouse=True)
def no_children(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "_children", {})
    yield


def child(delivered: int, *, seconds: float = 0.02, lag: int = 3, stream: str = "settle") -> str:
    """What another process exposes that counts the same families."""
    registry = CollectorRegistry()
    labels = ["integration", "step", "outcome"]
    records = Counted("mainstem_records", "Records by what became of them.", labels, registry=registry)
    records.labels(stream, "process", "processed").inc(delivered)
    buckets = metrics.SECONDS
    write = Histogram("mainstem_sink_write_seconds", "x", ["integration", "sink"], buckets=buckets, registry=registry)
    write.labels(stream, "s").observe(seconds)
    gauge = Gauge("mainstem_table_records", "x", ["integration", "table"], registry=registry)
    gauge.labels(stream, "t").set(lag)
    return generate_latest(registry).decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = [s for family in text_string_to_metric_families(text) for s in family.samples]
    names = [(s.name, tuple(sorted(s.labels.items()))) for s in found]
    assert len(names) == len(set(names)), "a sample stands there twice"
    return dict(zip(names, (s.value for s in found), strict=True))


def value(name: str, **labels: str) -> float:
    return samples(metrics.merged().decode())[name, tuple(sorted(labels.items()))]


def test_every_family_is_declared_once() -> None:
    metrics.records.labels("m1", "process", "processed").inc()
    metrics.sink_write.labels("m1", "s").observe(0.1)
    metrics.adopt("one", metrics.exposition().decode())
    metrics.adopt("two", child(1))
    text = metrics.merged().decode()
    declared = Counter(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert set(declared.values()) == {1}
    assert declared.keys() >= {"mainstem_records_total", "mainstem_sink_write_seconds", "mainstem_build_info"}
    samples(text)
    assert "_created" not in text, "when a counter began is said by nobody for all of them"


def test_counters_of_all_processes_are_summed_and_gauges_are_not() -> None:
    metrics.records.labels("m2", "process", "processed").inc(5)
    metrics.table_records.labels("m2", "t").set(7)
    metrics.adopt("one", child(10, stream="m2"))
    metrics.adopt("two", child(100, stream="m2"))
    assert value("mainstem_records_total", integration="m2", step="process", outcome="processed") == 115
    assert value("mainstem_table_records", integration="m2", table="t") == 7


def test_what_only_a_child_counts_is_there_too() -> None:
    metrics.adopt("one", child(10, stream="m3"))
    assert value("mainstem_records_total", integration="m3", step="process", outcome="processed") == 10
    assert value("mainstem_table_records", integration="m3", table="t") == 3


def test_histograms_are_summed_bucket_by_bucket() -> None:
    metrics.sink_write.labels("m4", "s").observe(0.02)
    metrics.adopt("one", child(1, seconds=2.0, stream="m4"))
    labels = {"integration": "m4", "sink": "s"}
    assert value("mainstem_sink_write_seconds_count", **labels) == 2
    assert value("mainstem_sink_write_seconds_sum", **labels) == pytest.approx(2.02)
    assert value("mainstem_sink_write_seconds_bucket", le="0.025", **labels) == 1
    assert value("mainstem_sink_write_seconds_bucket", le="2.5", **labels) == 2
    assert value("mainstem_sink_write_seconds_bucket", le="+Inf", **labels) == 2


def test_a_childs_last_word_counts_and_merging_twice_counts_nothing_twice() -> None:
    metrics.adopt("one", child(10, stream="m5"))
    metrics.adopt("one", child(12, stream="m5"))
    metrics.merged()
    assert value("mainstem_records_total", integration="m5", step="process", outcome="processed") == 12


def test_names_have_base_units_and_no_ids_for_labels() -> None:
    for family in metrics._registry.collect():
        assert re.fullmatch(r"(mainstem|kafka)_[a-z_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|kb|percent)$", family.name)
        labels = {label for sample in family.samples for label in sample.labels}
        assert not labels & {"event_id", "id", "key", "offset", "trace"}
