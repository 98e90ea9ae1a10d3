"""What the engine overrides or reaches for inside Faust and mode: each name is still there, and is what we think."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import faust
import pytest
from faust._cython.streams import StreamIterator
from faust.agents.agent import Agent as FaustAgent
from faust.app.base import App as FaustApp
from faust.assignor import PartitionAssignor
from faust.stores.base import Store
from faust.streams import Stream as FaustStream
from faust.streams import current_event
from faust.tables.base import Collection
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.table import Table as FaustTable
from faust.transport import base
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.producer import ProducerBuffer
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from mainstem.process.librdkafka.app import App
from mainstem.process.librdkafka.assign import Assignor
from mainstem.process.librdkafka.channel import Topic
from mainstem.process.librdkafka.conductor import Conductor as OurConductor
from mainstem.process.librdkafka.receiving import Consumer
from mainstem.process.librdkafka.sending import Producer, Unbuffered
from mainstem.process.librdkafka.store import OverlayStore
from mainstem.process.librdkafka.stream import Agent, Stream
from mainstem.process.librdkafka.tables import Table, TableManager
from mainstem.process.librdkafka.transport import Transport

OVERRIDDEN: list[tuple[type, type, set[str]]] = [
    (Stream, FaustStream, {"_c_aiter", "take", "take_events", "take_with_timestamp"}),
    (Agent, FaustAgent, {"_execute_actor"}),
    (
        Table,
        FaustTable,
        {"_new_store_by_url", "on_key_set", "on_key_del", "_should_expire_keys", "_new_changelog_topic", "info"},
    ),
    (TableManager, FaustTableManager, {"recovery", "on_start", "_update_channels", "on_rebalance", "on_commit"}),
    (Producer, base.Producer, {"on_start", "send", "send_and_wait", "send_soon", "flush", "create_topic"}),
    (Unbuffered, ProducerBuffer, {"wait_until_ebb"}),
    (App, FaustApp, {"in_transaction", "_stop_consumer"}),
    (OurConductor, Conductor, {"_update_indices", "_resubscribe_sleep_lock_seconds"}),
    (Topic, faust.Topic, {"_clone_args", "_compile_decode", "send"}),
    (Transport, base.Transport, {"Consumer", "Producer", "TransactionManager"}),
    (
        Consumer,
        FaustConsumer,
        {
            "_drain_messages",
            "ack",
            "commit",
            "wait_empty",
            "commit_and_end_transactions",
            "subscribe",
            "verify_event_path",
            "_commit_handler",
        },
    ),
]
USED: list[tuple[Any, str]] = [
    (StreamIterator, "next"),
    (faust.Topic, "_send_now"),
    (FaustStream, "on_merge"),
    (FaustStream, "_set_current_event"),
    (FaustStream, "_iter_ll_forwards"),
    (FaustStream, "_channel_stop_iteration"),
    (FaustAgent, "_slurp"),
    (FaustTable, "__missing__"),
    (FaustTable, "on_window_close"),
    (FaustTable, "_verify_source_topic_partitions"),
    (FaustTable, "partition_for_key"),
    (FaustConsumer, "on_partitions_assigned"),
    (Conductor, "on_partitions_assigned"),
    (FaustApp, "_stop_fetcher"),
    (FaustApp, "_consumer_wait_empty"),
    (FaustApp, "on_rebalance_start"),
    (FaustApp, "on_rebalance_end"),
    (FlowControlEvent, "clear"),
    (ThrowableQueue, "_wakeup_next"),
]
IN_THE_SOURCE: list[tuple[Callable[..., Any] | type, str]] = [
    (FaustConsumer._commit_handler, "self.commit_interval"),
    (Conductor.__init__, "self._tp_index"),
    (FaustTableManager.__init__, "self._tables_finalized"),
    (FaustTableManager.__init__, "self._changelogs"),
    (FaustStream.__init__, "self._active_agens"),
    (FaustStream.__init__, "self._processors"),
    (FaustStream.__init__, "self._on_message_in"),
    (FaustStream.__init__, "self._on_stream_event_in"),
    (FaustStream.__init__, "self._on_stream_event_out"),
    (FaustStream.__init__, "self._on_message_out"),
    (FaustStream._py_aiter, "event_cls"),
    (Conductor.__init__, "self._acking_topics"),
    (Collection.__init__, "self._sensor_on_set"),
    (Collection.__init__, "self._partition_latest_timestamp"),
    (Collection._clean_data, "self._should_expire_keys()"),
    (current_event, "_current_event.get"),
    (ThrowableQueue.clear, "putter.cancel()"),
]


@pytest.mark.parametrize(("ours", "theirs", "names"), OVERRIDDEN, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_overridden_exists_in_faust(ours: type, theirs: type, names: set[str]) -> None:
    assert {name for name in names if not hasattr(theirs, name)} == set()
    assert {name for name in names if name not in vars(ours)} == set()


@pytest.mark.parametrize(("owner", "name"), USED, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_what_is_called_exists_in_faust(owner: Any, name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("where", "what"),
    IN_THE_SOURCE,
    ids=lambda one: one if isinstance(one, str) else inspect.unwrap(getattr(one, "fun", one)).__qualname__,
)
def test_the_attributes_that_are_used_are_set_there(where: Any, what: str) -> None:
    assert what in inspect.getsource(getattr(where, "fun", where))


def test_no_abstract_method_of_faust_is_left_out() -> None:
    for one in (Consumer, OverlayStore, Producer, Transport):
        assert getattr(one, "__abstractmethods__", frozenset()) == frozenset()


def test_the_assignor_answers_whatever_fausts_own_does() -> None:
    public = {
        name
        for name in vars(PartitionAssignor)
        if not name.startswith("_") and callable(getattr(PartitionAssignor, name))
    }
    group_protocol = {"on_assignment", "metadata", "assign", "assign_partitions", "replicas", "changelog_distribution"}
    assert {name for name in public - group_protocol if not hasattr(Assignor, name)} == set()


def test_a_store_is_all_that_faust_makes_of_one() -> None:
    assert issubclass(OverlayStore, Store)
    assert issubclass(App, faust.App)
