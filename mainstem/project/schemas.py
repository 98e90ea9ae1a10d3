"""The contracts: every .avsc file under schemas/, its topic told by its path."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from mainstem.project import names
from mainstem.project.findings import Finding, Place, ProjectError, error
from mainstem.project.model import SchemaFile

MAX_BYTES = 1_048_576


def read_schemas(folder: Path) -> tuple[dict[str, SchemaFile], list[Finding]]:
    """The project's schemas by topic, and what is wrong with the others."""
    found: dict[str, SchemaFile] = {}
    findings: list[Finding] = []
    for file in sorted((folder / "schemas").rglob("*.avsc")):
        try:
            schema = _read(file, file.relative_to(folder).as_posix(), names.topic_of_schema(_inside(folder, file)))
        except ProjectError as wrong:
            findings.append(wrong.finding)
        else:
            found[schema.topic] = schema
    return found, findings


def _inside(folder: Path, file: Path) -> Path:
    return file.relative_to(folder / "schemas")


def _read(file: Path, shown: str, topic: str) -> SchemaFile:
    if problem := names.topic_problem(topic):
        fix = "name it schemas/<domain>/<fact_or_entity>.v<major>.avsc"
        raise ProjectError(error(Place(shown), f"its path gives no topic (`{topic}`): {problem}", fix=fix))
    definition = _parse(_text(file, shown), shown)
    if not isinstance(definition, dict) or definition.get("type") != "record":
        raise ProjectError(
            error(Place(shown, 1, 1), "an event's schema is an Avro record", fix='write "type": "record"')
        )
    full_name, expected = _full_name(definition), names.event_type(topic)
    if full_name != expected:
        space, _, name = expected.rpartition(".")
        fix = f'write "namespace": "{space}", "name": "{name}"'
        message = f"the record's full name is `{full_name}`, the file's path says `{expected}`"
        raise ProjectError(error(Place(shown, 1, 1), message, fix=fix))
    return SchemaFile(topic=topic, definition=definition, path=file)


def _full_name(definition: dict[str, Any]) -> str:
    """As Avro has it: a name with dots is full already, and its namespace means nothing."""
    name, space = str(definition.get("name", "")), str(definition.get("namespace") or "")
    return name if "." in name or not space else f"{space}.{name}"


def _text(file: Path, shown: str) -> str:
    try:
        if (size := file.stat().st_size) > MAX_BYTES:
            raise ProjectError(error(Place(shown), f"has {size:,} bytes; a schema may have {MAX_BYTES:,}"))
        return file.read_text("utf-8")
    except OSError as problem:
        raise ProjectError(error(Place(shown), f"cannot be read: {problem.strerror}")) from None
    except UnicodeDecodeError:
        raise ProjectError(error(Place(shown), "is not UTF-8", fix="save the file as UTF-8")) from None


def _parse(text: str, shown: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as problem:
        place = Place(shown, problem.lineno, problem.colno)
        raise ProjectError(error(place, f"not JSON: {problem.msg}")) from None
    except RecursionError:
        raise ProjectError(error(Place(shown, 1, 1), "nested too deep")) from None
    except ValueError as problem:  # a repeated key, or an integer of thousands of digits
        raise ProjectError(error(Place(shown, 1, 1), f"not JSON that can be used: {problem}")) from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key `{twice}` is twice in one object")
    return made
