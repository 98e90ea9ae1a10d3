from __future__ import annotations

import re
from typing import Any

import faust
import pytest
from faust.exceptions import ImproperlyConfigured

from mainstem.process.librdkafka import App, EngineOptions, Event
from mainstem.process.librdkafka.batch import Batches
from mainstem.process.librdkafka.clients import consumer_settings, plain_producer, transactional_producer
from mainstem.process.librdkafka.patterns import behind

BROKER = "librdkafka://127.0.0.1:9"


def test_the_transport_is_found_by_its_name() -> None:
    assert type(App("a", broker=BROKER).transport).__module__ == "mainstem.process.librdkafka.transport"


def test_a_plain_faust_app_is_refused_with_what_to_do() -> None:
    with pytest.raises(ImproperlyConfigured, match="import App"):
        faust.App("a", broker=BROKER).transport  # noqa: B018 - made when it is asked for


def test_exactly_once_without_a_stable_name_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="EngineOptions"):
        App("a", broker=BROKER, processing_guarantee="exactly_once").transport  # noqa: B018


def test_a_class_that_the_engine_needs_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="Stream"):
        App("a", broker=BROKER, Stream=faust.Stream)


@pytest.mark.parametrize("kind", ["SetTable", "SetGlobalTable"])
def test_kinds_of_tables_that_would_not_be_exact_are_refused(kind: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"no {kind} yet"):
        getattr(App("a", broker=BROKER), kind)("counts")


def test_a_store_that_is_not_there_is_refused() -> None:
    table = App("a", broker=BROKER, store="aerospike://").Table("counts")
    with pytest.raises(ImproperlyConfigured, match="memory://"):
        table.data  # noqa: B018 - made when it is asked for


def test_a_pattern_is_the_topics_whose_whole_name_fits_without_kafkas_own_and_the_apps_own() -> None:
    names = {"orders-north", "orders-", "my-orders-north", "__consumer_offsets", "shop-orders-north"}
    assert behind(re.compile("orders-.+"), names, "shop") == ["orders-north"]
    assert behind(re.compile(".*"), names, "shop") == ["my-orders-north", "orders-", "orders-north"]


def test_each_reader_of_a_pattern_finds_its_topics_anew() -> None:
    topic = App("a", broker=BROKER).topic(pattern="orders-.*")
    topic.topics = ["orders-north"]
    reader: Any = topic.clone(is_iterator=True)
    assert (reader.pattern, reader.topics) == (re.compile("orders-.*"), [])


def test_a_stall_is_longer_than_the_time_that_events_have_to_finish() -> None:
    with pytest.raises(ValueError, match="stall_s"):
        EngineOptions(drain_s=8, stall_s=8)


def test_events_may_not_take_longer_than_their_transaction() -> None:
    with pytest.raises(ValueError, match="drain_s"):
        EngineOptions(drain_s=10, transaction_timeout_s=10)


def test_before_the_worker_runs_nothing_is_decided_about_transactions() -> None:
    app = App("a", broker=BROKER, processing_guarantee="exactly_once", engine=EngineOptions(member="w1"))
    assert not app.in_transaction
    app.in_worker = True
    assert app.in_transaction


def test_a_step_reads_whole_batches_of_its_topic() -> None:
    app = App("a", broker=BROKER)

    @app.step("orders")
    def take(event: Event, table: None) -> None: ...

    (agent,) = app.agents.values()
    assert isinstance(agent.channel.schema, Batches)
    assert agent.name == "a.take"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_only_range_assigns(protocol: Any) -> None:
    settings = consumer_settings("b", "g", 6.0, EngineOptions(member="w1", group_protocol=protocol))
    assert settings.get("partition.assignment.strategy", settings.get("group.remote.assignor")) == "range"
    assert ("session.timeout.ms" in settings) is (protocol == "classic")
    assert ("group.instance.id" in settings) is (protocol == "classic")
    assert settings["isolation.level"] == "read_committed"
    assert settings["auto.offset.reset"] == "error"


def test_keys_go_where_other_kafka_clients_put_them() -> None:
    options = EngineOptions(client={"security.protocol": "SSL"})
    for settings in (plain_producer("b", options), transactional_producer("b", "t", options)):
        assert settings["partitioner"] == "murmur2_random"
        assert settings["security.protocol"] == "SSL"
        assert settings["enable.idempotence"] is True
