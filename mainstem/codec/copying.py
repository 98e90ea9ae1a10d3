"""One topic's values as lines of PostgreSQL's binary COPY, by the native codec alone: none becomes a Python object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mainstem.codec.avro import MAX_BYTES, Decoder
from mainstem.codec.engine import copy_plan_of, copy_rows, schema_ids
from mainstem.errors import Rejected
from mainstem.sdk.undecoded import BinaryCopy

if TYPE_CHECKING:
    from mainstem.codec.native import _avro

Columns = tuple[tuple[str, str], ...]


class Copier:
    """Makes such batches of one topic. What it knows of schemas and columns lives as long as it does."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._plans: dict[tuple[Columns, int], _avro.CopyPlan | None] = {}

    def batch(self, values: list[bytes | None]) -> UndecodedValues | None:
        """Framed values as a batch; None where one of them is none, or is of a schema whose values go by rows.

        Raises Unreachable when a schema is not known yet and the registry does not answer.
        """
        ids = schema_ids(values, MAX_BYTES)
        if not ids:
            return None
        try:
            records = [self._decoder.records(schema_id) for schema_id in ids]
        except Rejected:
            return None
        shapes = {frozenset(each.fields) if each else None for each in records}
        first = records[0]
        return UndecodedValues(self, values, ids, first.fields) if first and len(shapes) == 1 else None

    def plan(self, schema_id: int, columns: Columns) -> _avro.CopyPlan | None:
        """Of a schema that a batch was made of."""
        if (columns, schema_id) not in self._plans:
            records = self._decoder.records(schema_id)
            self._plans[columns, schema_id] = None if records is None else copy_plan_of(records, dict(columns))
        return self._plans[columns, schema_id]


class UndecodedValues:
    """`mainstem.sdk.undecoded.Undecoded`, of one topic."""

    def __init__(self, copier: Copier, values: list[bytes | None], ids: set[int], fields: Sequence[str]) -> None:
        self._copier = copier
        self._values = values
        self._ids = ids
        self.fields = fields

    def binary_copy(
        self, columns: Mapping[str, str], *, key: Sequence[str] = (), numbered: bool = False
    ) -> BinaryCopy | None:
        """As the protocol says."""
        asked = tuple(columns.items())
        found = {schema_id: self._copier.plan(schema_id, asked) for schema_id in self._ids}
        plans = {schema_id: plan for schema_id, plan in found.items() if plan is not None}
        if len(plans) < len(found):
            return None
        names = list(columns)
        copied = copy_rows(self._values, plans, numbered, tuple(names.index(name) for name in key), MAX_BYTES)
        return None if copied is None else BinaryCopy(*copied)
