"""Topics and groups: make, look at, delete. Calls block: make them from a worker thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from mainstem.errors import KAFKA_UNREACHABLE, MainstemError, Unreachable
from mainstem.event import Partition
from mainstem.kafka.login import Login
from mainstem.kafka.patience import patiently

TIMEOUT_S = 10.0
DEADLINE_S = 30.0


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupState:
    """A consumer group: how many members, and per partition where it stands and where the partition ends."""

    name: str
    state: str
    members: int
    positions: Mapping[Partition, tuple[int | None, int]]
    read: Set[Partition] = frozenset()
    """Partitions that were looked into, and have no record left: what is left there are markers of transactions."""

    @property
    def lags(self) -> dict[Partition, int]:
        """Offsets of each partition that are not done; a partition without a committed offset counts as a whole."""
        return {p: 0 if p in self.read else end - (at or 0) for p, (at, end) in self.positions.items()}

    @property
    def lag(self) -> int:
        """Over all partitions."""
        return sum(self.lags.values())

    @property
    def rests(self) -> dict[Partition, int]:
        """From where on each partition is not done, where offsets are left."""
        return {p: at or 0 for p, (at, end) in self.positions.items() if end > (at or 0)}


class Admin:
    """What an operator does to topics and groups."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._login = Login()
        settings: dict[str, Any] = {**config, "error_cb": self._login.hear}
        self._client = AdminClient(settings)

    def check(self, within_s: float = TIMEOUT_S) -> None:
        """Asks Kafka for no more than that it answers. Raises Unreachable."""
        self._result(self._client.describe_cluster(request_timeout=within_s), "asking the cluster who it is")

    def topics(self) -> dict[str, int]:
        """Every topic and its number of partitions. Raises Unreachable when Kafka does not answer."""
        try:
            found = self._client.list_topics(timeout=TIMEOUT_S).topics
        except KafkaException as error:
            raise self._failure(error, "listing topics") from None
        return {name: len(topic.partitions) for name, topic in found.items()}

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        """Kafka's id of each topic that exists; a topic that was deleted and made again has another one."""
        futures = self._client.describe_topics(TopicCollection(list(topics)), request_timeout=TIMEOUT_S)
        ids = {}
        for name, future in futures.items():
            try:
                ids[name] = str(future.result().topic_id)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise self._failure(error, f"describing {name}") from None
        return ids

    def create(self, specs: Iterable[TopicSpec]) -> list[str]:
        """Makes the topics that are missing and gives their names. Waits until each can be written to."""
        there = self.topics()
        missing = [spec for spec in specs if spec.name not in there]
        made = [NewTopic(s.name, s.partitions, s.replication, config=dict(s.config)) for s in missing]
        if made:
            self._settle(self._client.create_topics(made), "creating", passing=KafkaError.TOPIC_ALREADY_EXISTS)
            self._until(lambda: {spec.name for spec in missing} <= self.topics().keys(), "new topics to appear")
            partitions = [Partition(spec.name, number) for spec in missing for number in range(spec.partitions)]
            # Nor does every new partition have a leader at once.
            self._until(lambda: len(patiently(lambda: self.ends(partitions))) == len(partitions), "their leaders")
        return [spec.name for spec in missing]

    def delete(self, topics: Collection[str]) -> list[str]:
        """Deletes the topics that exist, and waits until they are gone."""
        there = sorted(set(topics) & self.topics().keys())
        if there:
            self._settle(self._client.delete_topics(there), "deleting", passing=KafkaError.UNKNOWN_TOPIC_OR_PART)
            self._until(lambda: not set(there) & self.topics().keys(), "topics to go")
        return there

    def delete_groups(self, groups: Collection[str]) -> None:
        """Deletes these consumer groups, where they are and nobody is in them."""
        for name in groups:
            patiently(partial(self._delete_group, name))

    def _delete_group(self, name: str) -> None:
        self.topics()  # as in _group
        futures = self._client.delete_consumer_groups([name], request_timeout=TIMEOUT_S)
        self._settle(futures, "deleting the group", passing=KafkaError.GROUP_ID_NOT_FOUND)

    def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The offset after the last record of each partition; of topics that are just being deleted, none."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """The first offset that each partition still holds and the one after its last; for many in two questions."""
        earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        # Patiently: somebody may be making a topic just now, and its partitions have no leader yet.
        starts = patiently(lambda: self._offsets(partitions, earliest))
        ends = patiently(lambda: self.ends(partitions))
        return {partition: (start, ends[partition]) for partition, start in starts.items() if partition in ends}

    def _offsets(self, partitions: Sequence[Partition], which: OffsetSpec) -> dict[Partition, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(*partition): which for partition in partitions}
        found = {}
        for tp, future in self._client.list_offsets(asked, request_timeout=TIMEOUT_S).items():
            try:
                found[Partition(tp.topic, tp.partition)] = int(future.result().offset)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise self._failure(error, "asking for offsets") from None
        return found

    def group(self, name: str) -> GroupState:
        """A group's members, committed offsets and lag; an unknown group is one without members and offsets."""
        return patiently(lambda: self._group(name))

    def _group(self, name: str) -> GroupState:
        self.topics()  # a question about a group that cannot be sent may abort the process: see kafka/lag.py
        described = self._client.describe_consumer_groups([name], request_timeout=TIMEOUT_S)[name]
        try:
            found = described.result()
            state, members = found.state.name, len(found.members)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise self._failure(error, f"describing the group {name}") from None
            state, members = "DEAD", 0
        asked = self._client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(name)], request_timeout=TIMEOUT_S
        )
        committed = self._result(asked[name], f"reading offsets of {name}").topic_partitions
        offsets = {Partition(tp.topic, tp.partition): int(tp.offset) for tp in committed}
        ends = self.ends(list(offsets)) if offsets else {}
        at = {p: None if offset < 0 else offset for p, offset in offsets.items()}
        return GroupState(name, state, members, {p: (at[p], ends[p]) for p in sorted(at) if p in ends})

    def groups(self) -> list[str]:
        """The names of all groups."""
        listed = self._result(self._client.list_consumer_groups(request_timeout=TIMEOUT_S), "listing groups")
        if listed.errors and not listed.valid:
            raise self._failure(listed.errors[0], "listing groups")
        return sorted(group.group_id for group in listed.valid)

    def _settle(self, futures: Mapping[str, Future[Any]], doing: str, *, passing: int) -> None:
        for name, future in futures.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != passing:
                    raise self._failure(error, f"{doing} {name}") from None

    def _result(self, future: Future[Any], doing: str) -> Any:
        try:
            return future.result()
        except KafkaException as error:
            raise self._failure(error, doing) from None

    def _failure(self, error: KafkaError | KafkaException, doing: str) -> MainstemError:
        self._client.poll(0)  # tells what it has heard beside
        return self._login.failure(error, doing)

    def _until(self, holds: Any, what: str) -> None:
        deadline = monotonic() + DEADLINE_S
        while not holds():
            if monotonic() > deadline:
                raise Unreachable(f"waited {DEADLINE_S:.0f} s in vain for {what}", code=KAFKA_UNREACHABLE)
            sleep(0.05)
