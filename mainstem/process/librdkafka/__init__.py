"""Faust on librdkafka: a transport, and the classes of an app that make its promises hold.

    app = App("billing", broker="librdkafka://localhost:9092", processing_guarantee="exactly_once",
              engine=EngineOptions(member="w1"))

    @app.step("orders", writes="invoices", decode=json.loads, encode=dumps)
    def invoice(order: Event, table: None) -> Event | None: ...

Usable by any Faust app: it imports nothing else of mainstem but the calls of a transaction.
"""

from mainstem.process.librdkafka.app import App
from mainstem.process.librdkafka.deferred import Made
from mainstem.process.librdkafka.event import Event
from mainstem.process.librdkafka.fetching import Message
from mainstem.process.librdkafka.join_kind import Kind
from mainstem.process.librdkafka.observing import Observer
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.progress import Progress
from mainstem.process.librdkafka.stream_join import Window
from mainstem.process.librdkafka.transport import Transport

__all__ = ["App", "EngineOptions", "Event", "Kind", "Made", "Message", "Observer", "Progress", "Transport", "Window"]
