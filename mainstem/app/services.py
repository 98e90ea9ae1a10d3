"""What every part of a backbone is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mainstem.codec.avro import Codec
from mainstem.codec.registry import Registry
from mainstem.flow.breaker import Breakers
from mainstem.kafka.topics import Admin
from mainstem.observe.board import Board
from mainstem.observe.latency import Latencies
from mainstem.project.model import Project


@dataclass(frozen=True)
class Services:
    """One process's connections and the places where its parts report."""

    project: Project
    config: Mapping[str, Any] = field(repr=False)
    """The Kafka client's properties, passwords included."""
    registry: Registry
    codec: Codec
    admin: Admin
    board: Board
    latencies: Latencies
    breakers: Breakers = field(default_factory=Breakers)

    @property
    def member_config(self) -> Mapping[str, Any]:
        """`config` for a member of a consumer group."""
        return {**self.project.kafka.member_properties(), **self.config}

    @classmethod
    def of(cls, project: Project) -> Services:
        """Connects lazily: nothing is asked of Kafka or the registry yet."""
        config = project.kafka.client_properties()
        registry = registry_of(project)
        definitions = {topic: schema.definition for topic, schema in project.schemas.items()}
        return cls(project, config, registry, Codec(registry, definitions), Admin(config), Board(), Latencies())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections that are kept open between calls."""
        self.registry.close()


def registry_of(project: Project) -> Registry:
    """The project's registry; its password goes to the client and nowhere else."""
    settings = project.registry
    password = settings.password.reveal() if settings.password else None
    authorities = str(settings.ssl_ca_location) if settings.ssl_ca_location else None
    return Registry(settings.url, user=settings.username, password=password, ca_location=authorities)
