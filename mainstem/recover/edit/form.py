"""The schema under which a letter is edited, and the record in its terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstem.codec import headers as h
from mainstem.codec.avro import FRAME_BYTES, Decoder, Encoder
from mainstem.codec.coerce import Coercer
from mainstem.codec.guard import check_safe
from mainstem.codec.message import decode_value
from mainstem.codec.registry import Definition, Registry, value_subject
from mainstem.errors import SCHEMA_REFUSES, MainstemError, Rejected
from mainstem.recover.edit.document import as_document
from mainstem.recover.letterbox import Letter


@dataclass(frozen=True)
class Form:
    """What is filled in. `document` is None where the letter's value does not decode; `problem` says why then."""

    topic: str
    """The letter's topic of origin, whose subject has the schema."""
    definition: Definition
    schema_id: int
    decoder: Decoder
    document: dict[str, Any] | None
    problem: MainstemError | None = None

    def fill_in(self, document: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """The value that the document makes, and the document that a reader would make of that.

        Raises RequestRefused (MS-104) with the wrong fields.
        """
        coerced = Coercer(self.definition).coerce(document)
        value = Encoder(self.topic, self.definition, self.schema_id).encode(coerced) or b""
        return value, as_document(self.decoder.decode(value))


def form_of(registry: Registry, letter: Letter, *, latest: bool) -> Form:
    """The letter in terms of the schema that wrote it or, with `latest` and for one that no schema wrote, the newest.

    Blocks. Raises Misconfigured when the topic of origin has no schema (MS-207) or an unsafe one, Unreachable, and
    Rejected where the record cannot be shown as JSON without loss.
    """
    topic = letter.origin.topic
    schema_id = None if latest else _written_with(registry, letter)
    if schema_id is None:
        schema_id, definition = registry.latest(value_subject(topic))
    else:
        definition = registry.definition(schema_id)
    check_safe(definition, topic)
    decoder = Decoder(topic, registry, definition)
    form = Form(topic, definition, schema_id, decoder, None)
    if letter.value is None:
        return form
    try:
        data = decode_value(decoder, letter.value, h.as_dict(letter.headers))
    except Rejected as error:
        return Form(topic, definition, schema_id, decoder, None, error)
    _check_faithful(form, data)
    return Form(topic, definition, schema_id, decoder, as_document(data))


def _written_with(registry: Registry, letter: Letter) -> int | None:
    """The id of the schema that wrote the value, if it is one of the topic's."""
    headers = h.as_dict(letter.headers)
    frame = headers.get(h.VALUE_SCHEMA_ID) or letter.value or b""
    if len(frame) < FRAME_BYTES or frame[0] != 0:
        return None
    schema_id = int.from_bytes(frame[1:FRAME_BYTES], "big")
    return schema_id if registry.has(value_subject(letter.origin.topic), schema_id) else None


def _check_faithful(form: Form, data: Any) -> None:
    """JSON has fewer types than Avro: bytes beside text in one union would come back as text."""
    try:
        value, _ = form.fill_in(as_document(data))
        is_same = repr(form.decoder.decode(value)) == repr(data)
    except Rejected:
        is_same = False
    if not is_same:
        raise Rejected(
            f"{form.topic}: this record would not come back from JSON as it is: its schema mixes types that JSON cannot"
            " tell apart",
            code=SCHEMA_REFUSES,
            fix="publish the corrected event with a program of its own, and drop the letter",
        )
