"""A project folder as one value that does not change: what flows from where to where, and with which promises."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from mainstem.project import names
from mainstem.project.connection import KafkaSettings, RegistrySettings
from mainstem.project.delivery import BatchLimits, Delivery, Promise
from mainstem.project.document import Document, Region
from mainstem.project.gateway import GatewaySettings
from mainstem.project.interpolate import References
from mainstem.project.secrets import SecretSettings, SecretStore
from mainstem.project.stack import Stack
from mainstem.project.typed_names import Identifier, Name, Topic
from mainstem.sdk.settings import Settings


class StepSpec(Settings):
    """A part of an integration; it knows which one, and where it is written, so that errors can say so."""

    name: Name
    """Its name within the integration; also the step's name in metrics and logs."""
    connector: Identifier
    """The folder under connectors/ that knows how to talk to the outside system."""
    settings: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    """As written, references unresolved; `discover` validates them against the connector."""

    _integration: str = PrivateAttr("")
    _region: Region | None = PrivateAttr(None)

    @property
    def integration(self) -> str:
        """The integration's name."""
        return self._integration

    @property
    def region(self) -> Region | None:
        """Where it is written; None for a part that was made in Python."""
        return self._region


class SourceSpec(StepSpec):
    """One source of an integration: a connector, and the topic that it writes."""

    topic: Topic
    """The topic that the events go to."""


class SinkSpec(StepSpec):
    """One sink of an integration: topics, a mapping, and a connector that writes the result."""

    topics: Annotated[tuple[Topic, ...], Field(min_length=1)]
    """The topics that are delivered."""
    map: str | dict[str, str] | None = None
    """`module:function` in integrations/, or target field -> source field (dotted); without it a record is one row."""
    delivery: Delivery = Delivery()
    """Order, retries, and what happens to a record that cannot be delivered."""
    batch: BatchLimits = BatchLimits()
    """When a batch is full."""

    @property
    def group(self) -> str:
        """The consumer group."""
        return names.sink_group(self.integration, self.name)

    @property
    def dead_letters(self) -> str:
        """The topic of its dead letters."""
        return names.sink_dead_letters(self.integration, self.name)

    @property
    def redrive(self) -> str:
        """The topic that gives it its dead letters again."""
        return names.sink_redrive(self.integration, self.name)


class Integration(Settings):
    """What flows from where to where: one file of integrations/."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    name: Name = Field(alias="integration")
    """Part of the names of groups and dead-letter topics: renaming it starts them anew."""
    owner: Annotated[str, Field(min_length=1)]
    """The team that is asked when it fails."""
    sources: tuple[SourceSpec, ...] = ()
    """What it reads from outside."""
    streams: tuple[Identifier, ...] = ()
    """The stream processors between its topics: files of streams/."""
    sinks: tuple[SinkSpec, ...] = ()
    """What it writes outside."""
    promise: Promise | None = None
    """What its owner has promised."""

    _region: Region | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _owns_its_parts(self) -> Self:
        for part in (*self.sources, *self.sinks):
            part._integration = self.name
        return self

    @property
    def region(self) -> Region | None:
        """Where it is written; None for an integration that was made in Python."""
        return self._region

    def read_from(self, document: Document) -> Self:
        """The same integration; it and its parts know from now on where they are written."""
        self._region = Region(document)
        for kind, parts in (("sources", self.sources), ("sinks", self.sinks)):
            for number, part in enumerate(parts):
                part._region = Region(document, (kind, number))
        return self

    def source(self, name: str) -> SourceSpec | None:
        """The source of that name."""
        return next((source for source in self.sources if source.name == name), None)

    def sink(self, name: str) -> SinkSpec | None:
        """The sink of that name."""
        return next((sink for sink in self.sinks if sink.name == name), None)


class TopicDefaults(Settings):
    """How topics are made where nothing else is said."""

    partitions: Annotated[int, Field(ge=1, le=10_000)] = 6
    """Partitions of a topic: the most workers that can share it. More can be added, but that moves keys."""
    replication: Annotated[int, Field(ge=1, le=10)] = 1
    """Copies of each partition; 3 wherever losing a machine must not lose data."""
    retention_s: Annotated[int, Field(ge=60)] | None = 604_800
    """Seconds that Kafka keeps an event, counted from its publishing; null keeps it for ever."""


class ProjectFile(Settings):
    """mainstem.yaml."""

    project: Name
    """The project's name."""
    kafka: KafkaSettings
    """The broker; the development stack's where nothing is said."""
    registry: RegistrySettings
    """The schema registry; the development stack's where nothing is said."""
    gateway: GatewaySettings = GatewaySettings()
    """The HTTP server that takes events in."""
    secrets: SecretSettings = SecretSettings()
    """Where `${secret:name}` looks."""
    defaults: TopicDefaults = TopicDefaults()
    """How topics are made."""


class SchemaFile(Settings):
    """One event type's contract: an .avsc file."""

    topic: Topic
    """The topic whose values it describes."""
    definition: dict[str, Any] = Field(repr=False)
    """The parsed Avro schema. Not to be changed."""
    path: Path
    """The file, absolute."""

    @property
    def subject(self) -> str:
        """The registry's subject."""
        return names.value_subject(self.topic)

    @property
    def event_type(self) -> str:
        """The event type, which is also the Avro full name."""
        return names.event_type(self.topic)


class Project(Settings):
    """A project folder, read and checked. Settings of connectors are validated when `discover` builds them."""

    folder: Path
    """Absolute; relative paths in the project's files start here."""
    name: Name
    kafka: KafkaSettings
    registry: RegistrySettings
    gateway: GatewaySettings = GatewaySettings()
    secrets: SecretSettings = SecretSettings()
    defaults: TopicDefaults = TopicDefaults()
    integrations: tuple[Integration, ...] = ()
    """In the order of their files' names."""
    schemas: Mapping[str, SchemaFile] = Field(default_factory=dict)
    """By topic."""

    _environ: Mapping[str, str] = PrivateAttr(default_factory=lambda: os.environ)

    @property
    def references(self) -> References:
        """What `${...}` in the settings of connectors can refer to, looked up when asked."""
        settings = self.secrets.model_copy(update={"folder": self.folder / self.secrets.folder})
        return References(self._environ, SecretStore(settings, self._environ), Stack(self.folder))

    def integration(self, name: str) -> Integration | None:
        """The integration of that name."""
        return next((made for made in self.integrations if made.name == name), None)

    @property
    def sinks(self) -> tuple[SinkSpec, ...]:
        """The sinks of all integrations."""
        return tuple(sink for made in self.integrations for sink in made.sinks)

    @property
    def sources(self) -> tuple[SourceSpec, ...]:
        """The sources of all integrations."""
        return tuple(source for made in self.integrations for source in made.sources)

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of all streams, each once, in order of first mention."""
        return tuple(dict.fromkeys(name for made in self.integrations for name in made.streams))
