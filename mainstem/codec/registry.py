"""The schema registry, through its Confluent-compatible API. Calls block: make them from a worker thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Self, TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from mainstem.errors import (
    INCOMPATIBLE_SCHEMA,
    REGISTRY_UNREACHABLE,
    SCHEMA_NOT_REGISTERED,
    Misconfigured,
    Unreachable,
)

Definition = Mapping[str, Any]
COMPATIBILITY = "BACKWARD_TRANSITIVE"
NOT_FOUND = 404
CONFLICT = 409
FORGET_MISS_S = 5.0
"""How long an id that is not under a subject is taken to be still not there: a flood of foreign records must not become
a flood of look-ups."""

T = TypeVar("T")


def value_subject(topic: str) -> str:
    """The subject of a topic's values."""
    return f"{topic}-value"


class Registry:
    """Schemas by subject and id; what was found once is kept, for an id never changes its meaning."""

    def __init__(
        self, url: str, *, user: str | None = None, password: str | None = None, ca_location: str | None = None
    ) -> None:
        """`ca_location` is a PEM file with the authorities that may vouch for the registry; the system's by default."""
        self.url = url
        settings: dict[str, Any] = {"url": url, "timeout": 5, "max.retries": 1, "retries.wait.ms": 100}
        if user:
            settings["basic.auth.user.info"] = f"{user}:{password or ''}"
        if ca_location:
            settings["ssl.ca.location"] = ca_location
        self._client = SchemaRegistryClient(settings)
        self._ids: dict[str, set[int]] = {}
        self._missed: dict[tuple[str, int], float] = {}

    def close(self) -> None:
        """Closes its connections; it is of no use afterwards."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subjects(self) -> list[str]:
        """All subjects; raises Unreachable when the registry does not answer."""
        return list(self._call(self._client.get_subjects))

    def register(self, subject: str, definition: Definition) -> int:
        """Registers the schema and gives its id; an equal one keeps the id that it has.

        Raises Misconfigured (MS-208) when it could not read what was written with an earlier version.
        """
        if subject not in self.subjects():
            made = self._call(lambda: self._client.register_schema(subject, _schema(definition)))
            self._call(lambda: self._client.set_compatibility(subject, level=COMPATIBILITY))
            return int(made)
        return int(self._call(lambda: self._client.register_schema(subject, _schema(definition))))

    def id_of(self, subject: str, definition: Definition) -> int:
        """The id under which this very schema is registered; raises Misconfigured (MS-207) when it is not."""
        try:
            found = self._call(lambda: self._client.lookup_schema(subject, _schema(definition)))
        except KeyError:
            raise Misconfigured(
                f"the project's schema is not registered under {subject}", code=SCHEMA_NOT_REGISTERED
            ) from None
        return int(found.schema_id or 0)

    def latest(self, subject: str) -> tuple[int, Definition]:
        """The newest version's id and schema; raises Misconfigured (MS-207) when there is none."""
        try:
            found = self._call(lambda: self._client.get_latest_version(subject))
        except KeyError:
            raise Misconfigured(f"no schema is registered under {subject}", code=SCHEMA_NOT_REGISTERED) from None
        parsed: Definition = json.loads(found.schema.schema_str or "null")
        return int(found.schema_id or 0), parsed

    def has(self, subject: str, schema_id: int) -> bool:
        """Whether the id is one of the subject's versions. Asks again for a new id, at most once in FORGET_MISS_S."""
        if schema_id in self._ids.get(subject, ()):
            return True
        if monotonic() - self._missed.get((subject, schema_id), -FORGET_MISS_S) < FORGET_MISS_S:
            return False
        self._ids[subject] = self._versions(subject)
        if schema_id in self._ids[subject]:
            return True
        if len(self._missed) > 1000:
            self._missed.clear()
        self._missed[subject, schema_id] = monotonic()
        return False

    def definition(self, schema_id: int) -> Definition:
        """The schema of an id."""
        found = self._call(lambda: self._client.get_schema(schema_id))
        parsed: Definition = json.loads(found.schema_str or "null")
        return parsed

    def _versions(self, subject: str) -> set[int]:
        try:
            versions = self._call(lambda: self._client.get_versions(subject))
        except KeyError:
            return set()
        return {self._id(subject, version) for version in versions}

    def _id(self, subject: str, version: int) -> int:
        return int(self._call(lambda: self._client.get_version(subject, version)).schema_id or 0)

    def _call(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except SchemaRegistryError as error:
            if error.http_status_code == NOT_FOUND:
                raise KeyError(error.error_message) from error
            if error.http_status_code == CONFLICT:
                raise Misconfigured(error.error_message[:500], code=INCOMPATIBLE_SCHEMA) from error
            raise Unreachable(f"the registry at {self.url} says {error}", code=REGISTRY_UNREACHABLE) from error
        except (httpx2.HTTPError, OSError) as error:
            raise Unreachable(
                f"the registry at {self.url} does not answer ({type(error).__name__})", code=REGISTRY_UNREACHABLE
            ) from error


def _schema(definition: Definition) -> Schema:
    return Schema(json.dumps(definition), "AVRO")
