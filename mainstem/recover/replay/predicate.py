"""A condition on one field of a record: `FIELD OP VALUE`, checked against the topic's schema before anything is read.

FIELD is a dotted path through records and maps; OP is one of = != < <= > >= in; VALUE is JSON or bare text, taken as
the field's Avro type has it: decimals as decimals, times as times, enums in the order of their symbols. Nothing is
evaluated. A null equals null only, and is neither less nor greater than anything.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from mainstem.codec.avro_shape import Avro, Named, read_schema, resolve
from mainstem.codec.registry import Definition
from mainstem.errors import Misconfigured
from mainstem.event import Data
from mainstem.project.findings import did_you_mean, listed
from mainstem.recover.replay.literal import Leaf, read_list, read_scalar

Predicate = Callable[[Data], bool]

_FORM: Final = re.compile(
    r"\s*(?P<path>[^\s=!<>.]+(?:\.[^\s=!<>.]+)*)\s*(?P<op><=|>=|!=|=|<|>|\bin\b)\s*(?P<value>.*?)\s*", re.DOTALL
)
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _Where(NamedTuple):
    text: str
    topic: str

    def wrong(self, why: str) -> Misconfigured:
        return Misconfigured(
            f"`{self.text}` does not fit {self.topic}: {why}",
            fix="write FIELD OP VALUE, as in `lines.net >= 10.50` (= != < <= > >= in)",
        )


def compile_predicate(text: str, definition: Definition, topic: str) -> Predicate:
    """The condition for values of that schema. Raises Misconfigured when it does not fit."""
    where = _Where(text, topic)
    found = _FORM.fullmatch(text)
    if found is None or not found["value"]:
        raise where.wrong("it is not FIELD OP VALUE")
    path = found["path"].split(".")
    schema, named = read_schema(definition)
    try:
        test = _test(found["op"], found["value"], Leaf(_find(schema, named, path, where), named))
    except ValueError as error:
        raise where.wrong(str(error)) from None
    return lambda data: test(_value(data, path))


def _find(schema: Avro, named: Named, path: list[str], where: _Where) -> Avro:
    """The schema of the field at the path's end."""
    for step in path:
        schema = _only_branch(schema, named, where)
        if schema["type"] == "map":
            schema = schema["values"]
            continue
        fields = {field["name"]: field["type"] for field in schema.get("fields", ())}
        if step not in fields:
            raise where.wrong(
                f"there is no field `{step}`{did_you_mean(step, fields)}; there are: {listed(fields)}"
                if fields
                else f"nothing of {schema['type']} is called `{step}`"
            )
        schema = fields[step]
    return schema


def _only_branch(schema: Avro, named: Named, where: _Where) -> Avro:
    """A part that may be null counts as what it is otherwise."""
    schema = resolve(schema, named)
    if not isinstance(schema, list):
        return schema
    branches = [branch for branch in schema if branch != "null"]
    if len(branches) != 1:
        raise where.wrong("the field can have several types")
    return resolve(branches[0], named)


def _value(data: Any, path: list[str]) -> Any:
    for step in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(step)
    return data


def _test(op: str, said: str, leaf: Leaf) -> Callable[[Any], bool]:
    if op == "in":
        wanted = [leaf.parse(text) for text in read_list(said)]
        return lambda value: value in wanted
    literal = leaf.parse(read_scalar(said))
    if op in {"=", "!="}:
        equal = op == "="
        return lambda value: (value == literal) is equal
    if literal is None:
        raise ValueError("nothing is less or greater than null")
    compare, rank = _ORDERS[op], leaf.rank
    limit = rank(literal)
    return lambda value: value is not None and compare(rank(value), limit)
