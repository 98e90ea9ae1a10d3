"""mainstem: an event-streaming integration backbone on Apache Kafka. These are its public names."""

import importlib as _importlib
import typing as _typing

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
from mainstem.sdk.undecoded import BinaryCopy, Undecoded

if _typing.TYPE_CHECKING:
    from mainstem.client.publisher import Publisher
    from mainstem.client.subscriber import Subscriber
    from mainstem.codec.registry import Registry

_CLIENTS = {
    "Publisher": "mainstem.client.publisher",
    "Subscriber": "mainstem.client.subscriber",
    "Registry": "mainstem.codec.registry",
}
"""Loaded when they are asked for: their libraries take most of a second, and a connector needs none of them."""

__all__ = [
    "Advance",
    "Batch",
    "BinaryCopy",
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
    "Undecoded",
    "Unreachable",
    "Write",
    "stream",
]


if not _typing.TYPE_CHECKING:  # or every name would be one to a type checker

    def __getattr__(name: str) -> _typing.Any:
        if name not in _CLIENTS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_importlib.import_module(_CLIENTS[name]), name)
