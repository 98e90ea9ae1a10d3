"""Which records of the ranges are replayed: by event time, by key, by what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mainstem.codec import headers as h
from mainstem.codec.avro import Decoder
from mainstem.codec.message import Message, decode_value
from mainstem.codec.registry import Definition
from mainstem.errors import Rejected
from mainstem.recover.replay.predicate import Predicate, compile_predicate
from mainstem.recover.replay.ranges import Extent

HEX: Final = "0x"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a record must have to be replayed; with nothing given every one is."""

    keys: tuple[str, ...] = ()
    """One of these: as text, or `0x` and the bytes in hex."""
    where: tuple[str, ...] = ()
    """All of these hold for its value: `FIELD OP VALUE`, see `predicate`."""

    @property
    def is_everything(self) -> bool:
        return not self.keys and not self.where


@dataclass(frozen=True)
class Sight:
    """How values are looked into, by topic."""

    decoder: Callable[[str], Decoder]
    definition: Callable[[str], Definition]
    """The schema by which that decoder gives its values. Raises Misconfigured where the project has none."""


class Chooser:
    """Chooses records. Compiling raises Misconfigured for a predicate that does not fit a topic's schema."""

    def __init__(self, extent: Extent, choice: Choice, topics: Collection[str], sight: Sight | None) -> None:
        """`sight` is needed where there are predicates."""
        self._extent = extent
        self._keys = frozenset(key for text in choice.keys for key in key_forms(text))
        self._looks: dict[str, tuple[Decoder, list[Predicate]]] = {}
        self.undecided = 0
        """Records that do not decode, so that a predicate cannot tell: they are not replayed."""
        if choice.where:
            if sight is None:
                raise ValueError("a predicate needs the topics' schemas")
            for topic in topics:
                predicates = [compile_predicate(text, sight.definition(topic), topic) for text in choice.where]
                self._looks[topic] = (sight.decoder(topic), predicates)

    def takes(self, message: Message) -> bool:
        """Whether it is meant. Raises Unreachable when its schema is not known yet and the registry does not answer."""
        if self._keys and message.key() not in self._keys:
            return False
        if self._extent.by_event_time and not self._extent.has_event(event_time(message)):
            return False
        return not self._looks or self._looks_right(message)

    def _looks_right(self, message: Message) -> bool:
        decoder, predicates = self._looks[message.topic() or ""]
        value = message.value()
        if value is None:  # a tombstone has no field that could have a value
            return False
        try:
            data = decode_value(decoder, value, h.as_dict(message.headers()))
        except Rejected:
            self.undecided += 1
            return False
        return all(holds(data) for holds in predicates)


def event_time(message: Message) -> datetime | None:
    """When the event happened; None where its record does not say."""
    return h.parse_time(h.as_dict(message.headers()).get(h.TIME))


def key_forms(text: str) -> list[bytes]:
    """The keys that a text names: itself, and the bytes that it spells in hex."""
    forms = [text.encode()]
    if text.startswith(HEX):
        with suppress(ValueError):
            forms.append(bytes.fromhex(text.removeprefix(HEX)))
    return forms


def fingerprints(choice: Choice, topics: Collection[str], sight: Sight | None) -> Mapping[str, str]:
    """What the predicates were agreed upon: a topic whose schema changes may choose other records."""
    if not choice.where or sight is None:
        return {}
    said = {topic: json.dumps(sight.definition(topic), sort_keys=True) for topic in topics}
    return {topic: hashlib.sha256(text.encode()).hexdigest()[:16] for topic, text in sorted(said.items())}
