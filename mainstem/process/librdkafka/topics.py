"""Which topics there are, how many partitions they have, and new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic
from faust.types import TP

from mainstem.process.librdkafka.murmur2 import murmur2

WAIT_S = 30.0
LOOK_S = 0.05
ANSWER_S = 5.0
REFUSALS = {KafkaError._AUTHENTICATION, KafkaError._SSL}


class Topics:
    """Asks Kafka once for each topic."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._client: AdminClient | None = None
        self._refusal: KafkaError | None = None
        self._partitions: dict[str, int] = {}

    def partitions(self, topic: str) -> int | None:
        """How many; None if there is no such topic. Blocks the first time."""
        if topic not in self._partitions:
            found = self._admin().list_topics(topic, timeout=WAIT_S).topics.get(topic)
            if found is None or found.error is not None or not found.partitions:
                return None
            self._partitions[topic] = len(found.partitions)
        return self._partitions[topic]

    def names(self) -> set[str]:
        """Of all that there are. Blocks; raises KafkaException."""
        return set(self._admin().list_topics(timeout=WAIT_S).topics)

    def partition_of(self, topic: str, key: bytes) -> int:
        """Where a key belongs (murmur2, as in Kafka's Java clients); -1 while there is no such topic."""
        count = self.partitions(topic)
        return murmur2(key) % count if count else -1

    def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The offset after the last record of each, also of transactions that are open. Those that Kafka says nothing
        of are left out. Blocks; raises KafkaException or TimeoutError."""
        asked = {TopicPartition(*tp): OffsetSpec.latest() for tp in tps}  # type: ignore[no-untyped-call]
        answers = self._admin().list_offsets(asked, request_timeout=ANSWER_S)
        found = {}
        for place, answer in answers.items():
            with suppress(KafkaException):
                found[TP(place.topic, place.partition)] = answer.result(2 * ANSWER_S).offset
        return found

    def is_there(self) -> bool:
        """Whether Kafka answers. Blocks for some seconds; to be called by any thread."""
        try:
            self._admin().describe_cluster(request_timeout=ANSWER_S).result(2 * ANSWER_S)
        except (KafkaException, TimeoutError):
            return False
        return True

    def refusal(self) -> str | None:
        """Why Kafka does not let us in; None where it does, or does not answer at all. Blocks for some seconds."""
        if self.is_there():
            return None
        self._admin().poll(0)
        if self._refusal is None:
            return None
        return f"Kafka refuses the login: {self._refusal.str()}; see broker_credentials, or EngineOptions.client"

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Kafka's ids of them: a topic that was made anew has another. Blocks."""
        asked = self._admin().describe_topics(TopicCollection(list(topics)))
        return {name: str(told.result(WAIT_S).topic_id) for name, told in asked.items()}

    async def create(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Makes it, if it is not there. `config`, `retention` (s), `compacting` and `deleting` are Faust's words."""
        await asyncio.get_running_loop().run_in_executor(None, self._create, topic, partitions, replication, options)

    def _create(self, topic: str, partitions: int, replication: int, options: Mapping[str, Any]) -> None:
        new = NewTopic(topic, partitions, replication, config=_config(options))
        for outcome in self._admin().create_topics([new]).values():
            try:
                outcome.result(WAIT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        deadline = monotonic() + WAIT_S
        while not self.partitions(topic) and monotonic() < deadline:
            sleep(LOOK_S)

    def _admin(self) -> AdminClient:
        if self._client is None:
            settings: dict[str, Any] = {**self._settings, "error_cb": self._hear}
            self._client = AdminClient(settings)
        return self._client

    def _hear(self, error: KafkaError) -> None:
        """The calls themselves only say that nobody answers."""
        if error.code() in REFUSALS:
            self._refusal = error


def _config(options: Mapping[str, Any]) -> dict[str, str]:
    config = {name: str(value) for name, value in (options.get("config") or {}).items()}
    policies = [name for name, wanted in (("compact", "compacting"), ("delete", "deleting")) if options.get(wanted)]
    if policies:
        config["cleanup.policy"] = ",".join(policies)
    retention = options.get("retention")
    if retention:
        seconds = retention.total_seconds() if hasattr(retention, "total_seconds") else float(retention)
        config["retention.ms"] = str(int(seconds * 1000))
    return config
