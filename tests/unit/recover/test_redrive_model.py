"""Any interleaving of a redrive's transactions, its crashes, its sink, live records, edits and other redrives."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mainstem.codec import headers as h
from mainstem.recover.job_states import WISHED
from mainstem.recover.redrive import Job, Terms, plan, planned
from mainstem.recover.replay import Happening, JobState
from mainstem.recover.selection import Selection
from mainstem.recover.wishes import Wish
from tests.thorough import examples
from tests.unit.deliver.sink_world import REDRIVE, World, order

KEYS = st.sampled_from(["a", "a", "b", "c"])
EDITED = 1000
"""An edited record says its number and that."""


class Redriving(RuleBasedStateMachine):
    """One job after the other; the real plan, job and sink, without Kafka. Event ids are `e<number>`."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = World()
        self.keys: list[str] = []
        self.job: Job | None = None
        self.planned: dict[str, set[str]] = {}
        self.jobs = 0

    @rule(key=KEYS, refused=st.booleans())
    def publish(self, key: str, refused: bool) -> None:
        n = len(self.keys)
        self.keys.append(key)
        if refused:
            self.world.refused.add(n)
        self.world.topics.append([order(n, key=key)])

    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        if self.world.refused:
            self.world.refused -= data.draw(st.sets(st.sampled_from(sorted(self.world.refused))))

    @rule(live=st.integers(0, 6), again=st.integers(0, 6))
    def deliver(self, live: int, again: int) -> None:
        self.runner.run(self.world.step(live, again))

    @precondition(lambda self: self.job is None)
    @rule(key=st.none() | KEYS)
    def begin(self, key: str | None) -> None:
        box = self.world.box()
        chosen = Selection(keys=frozenset({key.encode()})) if key else Selection(everything=True)
        agreed = plan(box, chosen, force=True)
        self.jobs += 1
        job = replace(planned(agreed, box, Terms("ann")), id=f"r{self.jobs}")
        self.planned[job.id] = {letter.event_id for letter in agreed.letters}
        assert job.left(box) == list(agreed.letters)
        self.job = job.on(Happening.BEGIN)

    @precondition(lambda self: self.job is not None and self.job.state is JobState.RUNNING)
    @rule(most=st.integers(1, 4), wish=st.none() | st.sampled_from(Wish))
    def transaction(self, most: int, wish: Wish | None) -> None:
        """What a process that was just started would do: it knows the job and the topics, and nothing else."""
        assert self.job is not None
        left = self.job.left(self.world.box())[:most]
        if left:
            self.world.redrive(left, self.job.id)
            self.job = self.job.after(left)
            if wish is not None:
                self.job = self.job.on(WISHED[wish])
        else:
            self.job = self.job.on(Happening.FINISH)
        if self.job.state.is_final:
            self.job = None

    @precondition(lambda self: self.job is not None and self.job.state is JobState.PAUSED)
    @rule()
    def resume(self) -> None:
        assert self.job is not None
        self.job = self.job.on(Happening.BEGIN)

    @precondition(lambda self: any(letter.state == "waiting" for letter in self.world.letters()))
    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        letter = data.draw(st.sampled_from([one for one in self.world.letters() if one.state == "waiting"]))
        n = int(letter.event_id[1:])
        self.world.edit(letter, n + EDITED)
        if n in self.world.refused and data.draw(st.booleans()):
            self.world.refused.add(n + EDITED)

    @precondition(lambda self: self.world.letters())
    @rule(data=st.data())
    def somebody_else_redrives_too(self, data: st.DataObject) -> None:
        box = self.world.box()
        self.world.redrive(plan(box, Selection(everything=True), force=True).letters, "other")

    @invariant()
    def a_job_sends_each_of_its_letters_once_and_no_others(self) -> None:
        sent: dict[str, Counter[str]] = defaultdict(Counter)
        for message in self.world.topics.read(REDRIVE):
            headers = h.as_dict(message.headers())
            sent[headers[h.REDRIVE_ID].decode()][headers[h.ID].decode()] += 1
        for job_id, expected in self.planned.items():
            assert sent[job_id].keys() <= expected
            assert max(sent[job_id].values(), default=1) == 1

    @invariant()
    def each_effect_is_there_once_and_in_the_order_of_its_key(self) -> None:
        delivered = [n % EDITED for n in self.world.delivered()]
        assert len(delivered) == len(set(delivered))
        lines = defaultdict(list)
        for n in delivered:
            lines[self.keys[n]].append(n)
        assert all(line == sorted(line) for line in lines.values())

    @invariant()
    def the_letter_in_sight_is_the_latest_edit(self) -> None:
        edits: Counter[str] = Counter()
        for message in self.world.topics.read("books.journal.dlq"):
            headers = h.as_dict(message.headers())
            revision = h.parse_number(headers.get(h.REVISION)) or 0
            edits[headers[h.ID].decode()] = max(edits[headers[h.ID].decode()], revision)
        assert {letter.event_id: letter.revision for letter in self.world.letters()} == dict(edits)

    def teardown(self) -> None:
        try:
            self._all_is_delivered_in_the_end()
        finally:
            self.runner.close()

    def _all_is_delivered_in_the_end(self) -> None:
        self.runner.run(self.world.step(10_000, 10_000))
        self.world.refused.clear()
        if self.job is None:
            self.begin(None)
        assert self.job is not None
        if self.job.state is JobState.PAUSED:
            self.resume()
        while self.job is not None:
            self.transaction(3, None)
            self.runner.run(self.world.step(10_000, 10_000))
        self.begin(None)
        while self.job is not None:
            self.transaction(3, None)
            self.runner.run(self.world.step(10_000, 10_000))
        assert sorted(n % EDITED for n in self.world.delivered()) == list(range(len(self.keys)))
        assert self.world.waiting() == []
        self.each_effect_is_there_once_and_in_the_order_of_its_key()


TestRedriving = Redriving.TestCase
TestRedriving.settings = settings(
    max_examples=examples(60),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
