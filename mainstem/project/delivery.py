"""What a sink does in which order, how often, and in which portions."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mainstem.sdk.settings import Settings

Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]


class Retry(Settings):
    """How often and how fast a record is tried again when the target says "later"."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 8
    """Tries in all, the first included; an outage of the whole target consumes none."""
    first_s: Seconds = 0.5
    """Longest wait before the second try, in seconds; it doubles from try to try."""
    max_s: Seconds = 300.0
    """Longest wait between two tries, in seconds."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.max_s < self.first_s:
            raise PydanticCustomError("order", "max_s is less than first_s")
        return self


class Delivery(Settings):
    """What a sink does in which order, and when a record cannot be delivered."""

    order: Literal["key"] = "key"
    """What stays in order: the records of one key."""
    on_failure: Literal["park", "skip", "block"] = "park"
    """park: the record and all later ones of its key wait; skip: this record only; block: the sink stops."""
    retry: Retry = Retry()
    """How a record is tried again."""
    max_parked_keys: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Keys that may wait at once. When a record of one more is refused, the sink pauses instead of parking it."""


class BatchLimits(Settings):
    """When a batch is full. It never waits to fill: what is there is taken."""

    max_records: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """Records in one batch: at 5,000 rows a binary COPY is about as fast as it gets."""
    max_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 8 << 20
    """Bytes of keys, values and headers in one batch, uncompressed; one record that is larger passes alone. A worker
    holds two batches, each several times as large when it is decoded."""


class Promise(Settings):
    """What the integration's owner has promised; metrics and alerts are measured against it."""

    arrives_within_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Seconds from the event's arrival at mainstem to its delivery."""
