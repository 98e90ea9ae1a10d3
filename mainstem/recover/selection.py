"""Which dead letters are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pydantic import ConfigDict

from mainstem.recover.letterbox import Letter


@dataclass(frozen=True, slots=True)
class Selection:
    """Letters that fit everything that is given; of several values of one kind, one is enough.

    A selection that names nothing takes nothing, unless it says `everything`.
    """

    __pydantic_config__: ClassVar = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    """In a job's record a key may be any bytes."""

    causes: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    keys: frozenset[bytes] = frozenset()
    event_ids: frozenset[str] = frozenset()
    since: datetime | None = None
    """Failed first at that time or later."""
    until: datetime | None = None
    """Failed first before that time."""
    everything: bool = False

    @property
    def names_nothing(self) -> bool:
        named = self.causes or self.codes or self.keys or self.event_ids
        return not (named or self.since or self.until or self.everything)

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        if self.names_nothing:
            return False
        fault = letter.fault
        return (
            (not self.causes or fault.cause in self.causes)
            and (not self.codes or fault.code in self.codes)
            and (not self.keys or letter.key in self.keys)
            and (not self.event_ids or letter.event_id in self.event_ids)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
        )
