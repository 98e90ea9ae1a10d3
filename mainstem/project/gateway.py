"""Settings of the HTTP gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from mainstem.project.typed_names import Sha256
from mainstem.sdk.settings import Settings


class ApiKey(Settings):
    """One caller of the gateway. Only the key's hash is kept: who reads the project cannot publish."""

    name: Annotated[str, Field(min_length=1)]
    """Who calls; appears in logs."""
    sha256: Sha256
    """SHA-256 of the key in hexadecimal."""
    topics: Annotated[tuple[str, ...], Field(min_length=1)]
    """Glob patterns of the topics that the caller may publish to: `payments.*`."""
    expires: AwareDatetime | None = None
    """When the key stops working, with its time zone; null: never."""


class GatewaySettings(Settings):
    """The HTTP server that takes events in. Beyond loopback, nobody publishes without an API key."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8420
    """The port to listen on; 0 takes a free one."""
    api_keys: tuple[ApiKey, ...] = ()
    """Who may publish."""
    max_body_bytes: Annotated[int, Field(ge=1, le=104_857_600)] = 1_048_576
    """Largest request body: about what a Kafka broker takes as one message."""
    body_timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    """Longest time for a request's body to arrive, in seconds."""
    dedupe_events: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000
    """Event ids that each replica remembers to publish a repeated delivery once; the stream behind drops the rest."""
