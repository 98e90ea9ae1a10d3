"""A schema registry in memory: the same calls as the real one's client, answered at once."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.codec.registry import Definition, Registry, value_subject
from mainstem.errors import SCHEMA_NOT_REGISTERED, Misconfigured

FIRST_ID = 1


class MemoryRegistry(Registry):
    """Holds what was registered; it does not judge compatibility."""

    def __init__(self, schemas: Mapping[str, Definition] | None = None) -> None:
        """Registers a schema for the values of each topic."""
        self.url = "memory"
        self._schemas: list[Definition] = []
        self._subjects: dict[str, list[int]] = {}
        for topic, definition in (schemas or {}).items():
            self.register(value_subject(topic), definition)

    def close(self) -> None:
        """There is nothing to close."""

    def subjects(self) -> list[str]:
        return list(self._subjects)

    def register(self, subject: str, definition: Definition) -> int:
        if definition not in self._schemas:
            self._schemas.append(definition)
        schema_id = FIRST_ID + self._schemas.index(definition)
        versions = self._subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    def id_of(self, subject: str, definition: Definition) -> int:
        for schema_id in self._subjects.get(subject, ()):
            if self.definition(schema_id) == definition:
                return schema_id
        raise Misconfigured(f"the schema is not registered under {subject}", code=SCHEMA_NOT_REGISTERED)

    def latest(self, subject: str) -> tuple[int, Definition]:
        versions = self._subjects.get(subject)
        if not versions:
            raise Misconfigured(f"no schema is registered under {subject}", code=SCHEMA_NOT_REGISTERED)
        return versions[-1], self.definition(versions[-1])

    def has(self, subject: str, schema_id: int) -> bool:
        return schema_id in self._subjects.get(subject, ())

    def definition(self, schema_id: int) -> Definition:
        return self._schemas[schema_id - FIRST_ID]
