"""What has become of live movements and of replayed ones, and whether anybody but the live worker touched its books."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.kafka.reader import reading
from mainstem.recover.replay import JOBS, JobState
from tests.chaos.epochs import Move, Place, read_moves
from tests.chaos.ledger import APPENDED, KEYED, rows
from tests.chaos.ledger_verdict import waiting
from tests.chaos.movements import mark_of
from tests.chaos.oracle import History, Mark, Rules, Verdict, judge
from tests.chaos.replay_field import LIVE, ReplayField, count
from tests.chaos.replay_lives import Replay

MAY_PASS = Rules(may_pass=True)
"""A replay reports what is refused and goes on with the key: nothing waits for it."""
STRAYS = {
    "parked by a replay": "SELECT count(*) FROM mainstem_parked WHERE sink LIKE '%.replay.%'",
    "letters of a replay": "SELECT count(*) FROM mainstem_letters WHERE sink LIKE '%.replay.%'",
}


def judge_live(field: ReplayField) -> Verdict:
    """All movements, as the live worker delivered them: as if there were no replays."""
    seen = {APPENDED: rows_via(field, LIVE), KEYED: rows(field.connection, KEYED)}
    return Verdict.together(
        judge(
            History(
                field.movements.published,
                delivered,
                waiting=waiting(field.services.config, field.ledger.dlq(sink)),
                refused=field.movements.refused,
            )
        )
        for sink, delivered in seen.items()
    )


def judge_replay(field: ReplayField, replay: Replay) -> Verdict:
    """The movements of its ranges: each once, in order per key, but for those that the database refuses."""
    planned = marks_of(field, replay)
    refused = {mark.event_id for mark in planned} & field.movements.refused
    return judge(History(planned, rows_via(field, f"{replay.name}.%"), dropped=refused), MAY_PASS)


def rows_via(field: ReplayField, writers: str) -> list[Mark]:
    """The rows that these sessions wrote, in the order in which they were written."""
    query = f"SELECT event_id, key, seq FROM {APPENDED} WHERE via LIKE %s ORDER BY n"
    return [Mark(*row) for row in field.connection.execute(query.encode(), [writers])]


def marks_of(field: ReplayField, replay: Replay) -> list[Mark]:
    """What its ranges hold, in order within each partition."""
    ranges = {part.of: (part.start, part.end) for part in replay.job.plan.ranges}
    with reading(field.services.config) as reader:
        found: list[Message] = [message for batch in reader.read(ranges) for message in batch]
    found.sort(key=origin_of)
    return [mark_of(h.text(h.as_dict(message.headers()), h.ID) or "") for message in found]


def trespasses(field: ReplayField) -> list[str]:
    """What a replay did to the live worker's books, or left undone in its own. Nothing is the only good answer."""
    found = [f"{n} {what}" for what, query in STRAYS.items() if (n := count(field.connection, query))]
    live = set(field.live_sinks)
    found += [f"{move.writer} moved {move.place}" for move in read_moves(field.connection) if _is_strange(move, live)]
    found += [f"{place} was taken over {n} times" for place, n in _takeovers(field, live).items() if n != 1]
    found += [f"{group.name} has {group.members} members, a lag of {group.lag}" for group in field.groups()
              if (group.members, group.lag) != (1, 0)]  # fmt: skip
    found += [wrong for replay in field.replays for wrong in replay.gave_up]
    return found + [wrong for replay in field.replays for wrong in _miscounts(field, replay)]


def _is_strange(move: Move, live: set[str]) -> bool:
    return (move.place.sink in live) != (move.writer == LIVE)


def _takeovers(field: ReplayField, live: set[str]) -> dict[Place, int]:
    moves = [move for move in read_moves(field.connection) if move.takes_over and move.place.sink in live]
    places = [move.place for move in moves]
    return {place: places.count(place) for place in places}


def _miscounts(field: ReplayField, replay: Replay) -> Sequence[str]:
    """A job that says that it is done has settled what its plan counted."""
    job = JOBS.find(field.services.config, replay.job.id)
    if job.state is JobState.DONE and job.settled == job.plan.records:
        return []
    return [f"replay {job.id} is {job.state} with {job.settled} of {job.plan.records}"]
