"""Whether everybody who moved a sink's offsets was the one who had taken them over: fencing, judged from an audit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import psycopg

AUDIT = """
CREATE TABLE audit (
    n bigserial PRIMARY KEY, sink text NOT NULL, topic text NOT NULL, partition int NOT NULL,
    takes_over boolean NOT NULL, writer text NOT NULL);
CREATE INDEX ON audit (sink, topic, partition, takes_over, n);
CREATE FUNCTION note_offset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (sink, topic, partition, takes_over, writer)
    VALUES (NEW.sink, NEW.topic, NEW.partition, TG_OP = 'INSERT' OR NEW.epoch IS DISTINCT FROM OLD.epoch,
        coalesce(current_setting('chaos.writer', true), ''));
    RETURN NULL;
END $$;
CREATE TRIGGER note_offset AFTER INSERT OR UPDATE ON mainstem_offsets FOR EACH ROW EXECUTE FUNCTION note_offset();
"""
"""Made after mainstem's own tables. The changed row is locked meanwhile: within each place, `n` is their order."""

_MOVES = "SELECT sink, topic, partition, takes_over, writer FROM audit ORDER BY n"
_LAST = """
(SELECT writer FROM audit AS a WHERE (a.sink, a.topic, a.partition) = (o.sink, o.topic, o.partition) AND {which}
 ORDER BY n DESC LIMIT 1)
"""
_HOLDERS = f"""
SELECT sink, topic, partition, coalesce({_LAST.format(which="takes_over")}, ''),
    coalesce({_LAST.format(which="NOT takes_over")}, '')
FROM mainstem_offsets AS o
"""


class Place(NamedTuple):
    """One partition as one sink sees it."""

    sink: str
    topic: str
    partition: int


class Holder(NamedTuple):
    """Who took a place over last, and who moved its offset last."""

    owner: str
    mover: str


class Move(NamedTuple):
    """One committed change of a place's row: its epoch (then it was taken over) or its offset."""

    place: Place
    takes_over: bool
    writer: str


def read_moves(connection: psycopg.Connection) -> list[Move]:
    """All of them, in order within each place."""
    found = connection.execute(_MOVES.encode()).fetchall()
    return [Move(Place(*place), takes_over, writer) for *place, takes_over, writer in found]


def read_holders(connection: psycopg.Connection) -> dict[Place, Holder]:
    """Whose each place is now."""
    found = connection.execute(_HOLDERS.encode()).fetchall()
    return {Place(*place): Holder(owner, mover) for *place, owner, mover in found}


def intruders(moves: Iterable[Move]) -> list[str]:
    """The writer of each move of an offset that another writer had taken over."""
    owners: dict[Place, str] = {}
    found = []
    for move in moves:
        if move.takes_over:
            owners[move.place] = move.writer
        elif owners.get(move.place) != move.writer:
            found.append(move.writer)
    return found


def held_by(writer: str, holders: Mapping[Place, Holder]) -> frozenset[Place]:
    """What the writer has, as far as the database knows."""
    return frozenset(place for place, holder in holders.items() if holder.owner == writer)


def is_outrun(writer: str, places: Collection[Place], holders: Mapping[Place, Holder]) -> bool:
    """Whether others have taken all of these over, and have gone on with those that the writer was at."""
    return all(writer not in holders[place] for place in places)
