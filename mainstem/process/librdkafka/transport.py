"""`librdkafka://host:port`, as Faust's transports are named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from faust import Service
from faust.exceptions import ImproperlyConfigured
from faust.transport import base
from faust.types.enums import ProcessingGuarantee

from mainstem.process.librdkafka.clients import servers
from mainstem.process.librdkafka.conductor import Conductor
from mainstem.process.librdkafka.credentials import properties
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.receiving import Consumer
from mainstem.process.librdkafka.sending import Producer
from mainstem.process.librdkafka.topics import Topics

REFUSED = (
    "librdkafka:// needs the classes of mainstem.process.librdkafka.App: with faust.App alone an event would count as "
    "done although its agent raised. Make the app with `from mainstem.process.librdkafka import App`."
)

NAMELESS = (
    "exactly_once needs a stable name for each worker: App(..., engine=EngineOptions(member='w1')). A successor under "
    "the same name fences the one that it takes over from."
)

NOT_HERE = {
    "stream_publish_on_commit": "this engine makes commits itself. Exactly-once does what it is for: leave it off, and "
    "set processing_guarantee='exactly_once'",
    "producer_partitioner": "keys go where Kafka's Java clients put them. Say the partition where a record is sent",
}
"""Settings of Faust's that would be passed over without a word."""


class TransactionManager(Service):
    """Faust asks for one in exactly-once mode; here the consumer and the producer do all of it."""

    def __init__(self, transport: Any, *, consumer: Any, producer: Any, **options: Any) -> None:
        self.transport = transport
        self.app = transport.app
        self.consumer = consumer
        self.producer = producer
        super().__init__(**options)

    def __getattr__(self, name: str) -> Any:
        """As if it were the producer."""
        return getattr(self.producer, name)

    async def on_partitions_revoked(self, revoked: Any) -> None: ...

    async def on_rebalance(self, assigned: Any, revoked: Any, newly_assigned: Any) -> None: ...

    async def commit(self, offsets: Any, start_new_transaction: bool = True) -> bool:
        return bool(await self.consumer.commit())


class Transport(base.Transport):
    """See the module. Raises ImproperlyConfigured for an app that is not ours, and for credentials that librdkafka has
    no words for. From here on the app's engine options hold all of its clients' properties."""

    Consumer = Consumer
    Producer = Producer
    Conductor = Conductor
    TransactionManager = cast(Any, TransactionManager)
    default_port = 9092
    driver_version = "librdkafka"

    def __init__(self, url: Any, app: Any, loop: Any = None) -> None:
        options = getattr(app, "engine", None)
        if not isinstance(options, EngineOptions):
            raise ImproperlyConfigured(REFUSED)
        for name, reason in NOT_HERE.items():
            if getattr(app.conf, name):
                raise ImproperlyConfigured(f"{name}: {reason}")
        is_exactly_once = app.conf.processing_guarantee == ProcessingGuarantee.EXACTLY_ONCE
        if is_exactly_once and options.member is None:
            raise ImproperlyConfigured(NAMELESS)
        options = app.engine = replace(options, client={**properties(app.conf.broker_credentials), **options.client})
        super().__init__(url, app, loop)
        self.bootstrap = servers(url)
        self.admin = Topics({"bootstrap.servers": self.bootstrap, **options.client})
