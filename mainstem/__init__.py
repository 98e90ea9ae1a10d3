"""mainstem: an event-streaming integration backbone on Apache Kafka. These are its public names."""

from mainstem.client.publisher import Publisher
from mainstem.client.subscriber import Subscriber
from mainstem.codec.registry import Registry
from mainstem.errors import (
    Code,
    Fenced,
    FieldError,
    MainstemError,
    Misconfigured,
    Rejected,
    RequestRefused,
    Retryable,
    Unreachable,
)
from mainstem.event import Data, Event, Origin, Partition
from mainstem.sdk.secret import Secret
from mainstem.sdk.settings import Settings
from mainstem.sdk.sink import (
    Advance,
    Claim,
    Guarantee,
    Letter,
    Mapped,
    ParkedKey,
    Progress,
    Row,
    Sink,
    SinkIdentity,
    Target,
    Transaction,
    TransactionalSink,
    Write,
)
from mainstem.sdk.source import Batch, Position, PushSource, Request, Source
from mainstem.sdk.stream import Stream, Table, stream

__all__ = [
    "Advance",
    "Batch",
    "Claim",
    "Code",
    "Data",
    "Event",
    "Fenced",
    "FieldError",
    "Guarantee",
    "Letter",
    "MainstemError",
    "Mapped",
    "Misconfigured",
    "Origin",
    "ParkedKey",
    "Partition",
    "Position",
    "Progress",
    "Publisher",
    "PushSource",
    "Registry",
    "Rejected",
    "Request",
    "RequestRefused",
    "Retryable",
    "Row",
    "Secret",
    "Settings",
    "Sink",
    "SinkIdentity",
    "Source",
    "Stream",
    "Subscriber",
    "Table",
    "Target",
    "Transaction",
    "TransactionalSink",
    "Unreachable",
    "Write",
    "stream",
]
