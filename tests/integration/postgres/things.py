"""Batches of one topic, undecoded and by items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mainstem import Event, Mapped
from mainstem.codec.avro import Codec
from mainstem.codec.copying import Copier, UndecodedValues
from mainstem.testing.memory_registry import MemoryRegistry

TOPIC = "shop.thing.v1"
PAIR: Mapping[str, Any] = {"id": "string", "n": "int"}


def schema(types: Mapping[str, Any]) -> dict[str, Any]:
    fields = [{"name": name, "type": type_} for name, type_ in types.items()]
    return {"type": "record", "namespace": "shop", "name": "thing", "fields": fields}


class Things:
    """A topic's batches, undecoded and by items."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        self._codec = Codec(MemoryRegistry({TOPIC: schema(types)}), {TOPIC: schema(types)})
        self._encoder = self._codec.encoder(TOPIC)
        self._decoder = self._codec.decoder(TOPIC)

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> UndecodedValues:
        made = Copier(self._decoder).batch([self._encoder.encode(row) for row in rows])
        assert made is not None
        return made

    def items(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapped]:
        decoded = [self._decoder.decode(self._encoder.encode(row) or b"") for row in rows]
        return [Mapped(Event(id=str(number)), [row]) for number, row in enumerate(decoded)]
