"""One topic's values as Arrow columns, by the native codec alone: fastavro makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstem.codec.avro import MAX_BYTES, schema_id_of, undecodable
from mainstem.codec.avro_shape import read_schema
from mainstem.codec.engine import decode_columns, loader_of, table_of
from mainstem.codec.guard import check_safe
from mainstem.codec.registered import registered
from mainstem.codec.registry import Definition, Registry
from mainstem.errors import Rejected

if TYPE_CHECKING:
    from mainstem.codec.native import _avro


class ColumnDecoder:
    """Reads values, whichever registered version of the topic's schema wrote them, into the columns of one version."""

    def __init__(self, topic: str, registry: Registry, definition: Definition) -> None:
        """Raises Misconfigured without the native codec, and for a schema that is unsafe or makes no columns."""
        check_safe(definition, topic)
        schema, _ = read_schema(definition)
        self.topic = topic
        self._registry = registry
        self._definition = definition
        self._table = table_of(topic, schema)
        self._loaders: dict[int, _avro.Loader] = {}
        self._unfit: dict[int, Rejected] = {}

    def decode(self, values: list[bytes | Rejected | None]) -> tuple[_avro.Columns, list[tuple[int, Rejected]]]:
        """The columns, and by its number each value that is no row; a Rejected among the values is one of them.

        Raises Unreachable, and OverflowError where one column would pass 2 GiB: give fewer values then.
        """
        columns = decode_columns(values, self._loaders, self._table.layout, self._loader_or_refusal, MAX_BYTES)
        refused = [(number, self._refusal(values[number], why)) for number, why in columns.refused]
        return columns, refused

    def _refusal(self, value: Any, why: Exception) -> Rejected:
        return why if isinstance(why, Rejected) else undecodable(self.topic, schema_id_of(self.topic, value), why)

    def _loader_or_refusal(self, value: bytes | Rejected) -> _avro.Loader | Rejected:
        if isinstance(value, Rejected):
            return value
        try:
            schema_id = schema_id_of(self.topic, value)
            if schema_id not in self._loaders and schema_id not in self._unfit:
                self._bind(schema_id)
        except Rejected as refused:
            return refused
        return self._loaders.get(schema_id) or self._unfit[schema_id]

    def _bind(self, schema_id: int) -> None:
        definition, writer = registered(self._registry, self.topic, schema_id)
        other = None if definition == self._definition else writer
        try:
            self._loaders[schema_id] = loader_of(self._table, self.topic, schema_id, other)
        except Rejected as unfit:  # for good: what an id means never changes
            self._unfit[schema_id] = unfit
