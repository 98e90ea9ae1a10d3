"""The schema that a value was written with: registered for its topic, safe, and Avro."""

from __future__ import annotations

from mainstem.codec.avro_shape import Avro, read_schema
from mainstem.codec.guard import check_safe
from mainstem.codec.registry import Definition, Registry, value_subject
from mainstem.errors import FOREIGN_SCHEMA, UNSAFE_SCHEMA, Misconfigured, Rejected


def registered(registry: Registry, topic: str, schema_id: int) -> tuple[Definition, Avro]:
    """The schema of an id as it is registered, and with full names.

    Raises Rejected: not the topic's, or of no use (MS-102), unsafe (MS-209). Raises Unreachable when the registry does
    not answer.
    """
    subject = value_subject(topic)
    if not registry.has(subject, schema_id):
        raise Rejected(f"schema id {schema_id} is not registered under {subject}", code=FOREIGN_SCHEMA)
    try:
        definition = registry.definition(schema_id)
        check_safe(definition, topic)
        writer, _ = read_schema(definition)
    except Misconfigured as unusable:
        code = unusable.code if unusable.code is UNSAFE_SCHEMA else FOREIGN_SCHEMA
        raise Rejected(f"schema {schema_id} of {subject}: {unusable.cause}", code=code) from None
    except (KeyError, ValueError):  # deleted meanwhile, or of another kind: Protobuf is not even JSON
        raise Rejected(f"schema {schema_id} of {subject} is not Avro", code=FOREIGN_SCHEMA) from None
    return definition, writer
