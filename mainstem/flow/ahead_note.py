"""Which records beyond a committed offset are done already, as a note beside it: a bit for each offset.

The idea is that of Confluent's parallel consumer
(https://github.com/confluentinc/parallel-consumer#offset-map-storage-and-restoration).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Final

FORM: Final = "m1:"
"""Of notes as this version writes them. One of another form is nobody's: its offset counts, and nothing else."""
SPAN: Final = 20_000
"""Offsets that fit into a note: Kafka takes 4,096 bytes (offset.metadata.max.bytes). What is further ahead waits."""


def write_note(position: int, done: Collection[int]) -> str:
    """`done` are offsets in `[position, position + SPAN)`; none of them makes no note. Raises ValueError beyond."""
    if not done:
        return ""
    if not position <= min(done) <= max(done) < position + SPAN:
        raise ValueError(f"{min(done)} to {max(done)} are not within {SPAN} of {position}")
    bits = bytearray((max(done) - position) // 8 + 1)
    for offset in done:
        bits[(offset - position) // 8] |= 1 << ((offset - position) % 8)
    return FORM + base64.b64encode(bits).decode()


def read_note(position: int, note: str) -> frozenset[int]:
    """The offsets that it says are done; none for a note that is not ours, or not whole."""
    if not note.startswith(FORM):
        return frozenset()
    try:
        bits = base64.b64decode(note.removeprefix(FORM), validate=True)
    except binascii.Error:
        return frozenset()
    ones = (8 * place + bit for place, byte in enumerate(bits) if byte for bit in range(8) if byte >> bit & 1)
    return frozenset(position + one for one in ones)
