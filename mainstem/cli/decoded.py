"""A record's value as it may be shown: decoded through the registry, personal fields masked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.masking import masked
from mainstem.codec import headers as h
from mainstem.codec.avro import FRAME_BYTES, Decoder
from mainstem.codec.message import Message, decode_value, origin_of
from mainstem.errors import Rejected

RevealOption = Annotated[bool, typer.Option("--reveal", help="Show personal fields and undecodable bytes too.")]
REVEALED = "personal data is shown unmasked (--reveal): do not paste it where it does not belong"


class Decoded:
    """Shows the values of any topic. `reveal` leaves out the masking."""

    def __init__(self, services: Services, *, reveal: bool) -> None:
        self._services = services
        self._reveal = reveal
        self._decoders: dict[str, Decoder] = {}

    def show(self, topic: str, value: bytes | None, headers: Mapping[str, bytes]) -> dict[str, Any]:
        """`data` or, for a value that does not decode by the topic's schemas, `error` and its size.

        Raises Unreachable when the registry does not answer.
        """
        if value is None:
            return {"data": None}
        try:
            data: Any = decode_value(self._decoder(topic), value, headers)
        except Rejected as error:
            raw = {"raw": f"0x{value.hex()}"} if self._reveal else {}
            return {"error": f"{error.code.number} {error.cause}", "bytes": len(value), **raw}
        return {"data": data if self._reveal else self._masked(topic, data, _schema_id(value, headers))}

    def row(self, message: Message) -> dict[str, Any]:
        """A consumed record: where it stands, what identifies it, and its value."""
        headers = h.as_dict(message.headers())
        place = origin_of(message)
        return {
            "place": place,
            "time": h.text(headers, h.TIME) or _published(message),
            "key": message.key(),
            "id": h.text(headers, h.ID),
            **self.show(place.topic, message.value(), headers),
        }

    def _decoder(self, topic: str) -> Decoder:
        if topic not in self._decoders:
            self._decoders[topic] = self._services.codec.decoder(topic)
        return self._decoders[topic]

    def _masked(self, topic: str, data: Any, schema_id: int) -> Any:
        """By the tags of both schemas: the one that wrote the value and the project's, which may differ."""
        own = self._services.project.schemas.get(topic)
        definitions = [self._services.registry.definition(schema_id), *([own.definition] if own else [])]
        for definition in definitions:
            data = masked(definition, data)
        return data


def _schema_id(value: bytes, headers: Mapping[str, bytes]) -> int:
    frame = headers.get(h.VALUE_SCHEMA_ID) or value
    return int.from_bytes(frame[1:FRAME_BYTES], "big")


def _published(message: Message) -> str:
    return h.format_time(datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC)).decode()
