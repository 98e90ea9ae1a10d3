"""Any order of joins, deaths, sleeps and fences: no task has two owners at work, none is without one for good."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mainstem.ingest.tasks import LONGEST_RETAKE_S, PARTITIONS, Duty, partition_of
from tests.thorough import examples

OLD = ("i.a", "i.b", "i.c", "i.d")
NEW = ("i.b", "i.c", "i.d", "i.e", "i.f")
VERSIONS = st.sampled_from([OLD, NEW])


@dataclass
class Process:
    """One that hosts the integration: what it knows, and what it has heard from the group."""

    tasks: tuple[str, ...]
    duty: Duty = field(init=False)
    given: frozenset[int] = frozenset()
    """By the group. What it has heard may be older: while it sleeps it hears nothing."""
    heard: frozenset[int] = frozenset()
    working: set[str] = field(default_factory=set)
    """It believes that these are its own, and would commit."""
    waiting: dict[str, float] = field(default_factory=dict)
    """Fenced, and to be taken back at that time if still ours."""
    sleeps: bool = False

    def __post_init__(self) -> None:
        self.duty = Duty(self.tasks)


class Group(RuleBasedStateMachine):
    """The processes, the group that shares the partitions among those that it believes alive, and Kafka's fences."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.members: list[Process] = []
        self.fence: dict[str, Process] = {}
        """Whose transactions of a task Kafka takes."""
        self.now = 0.0

    @precondition(lambda self: len(self.processes) < 4)
    @rule(tasks=VERSIONS)
    def join(self, tasks: tuple[str, ...]) -> None:
        process = Process(tasks)
        self.processes.append(process)
        self.members.append(process)
        self._rebalance()

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from(self.processes))
        self.processes.remove(process)
        if process in self.members:
            self.members.remove(process)
            self._rebalance()

    @precondition(lambda self: any(not process.sleeps for process in self.processes))
    @rule(data=st.data())
    def fall_asleep(self, data: st.DataObject) -> None:
        """Longer than the session: the group gives its work to others, and it does not know."""
        process = data.draw(st.sampled_from([process for process in self.processes if not process.sleeps]))
        process.sleeps = True
        self.members.remove(process)
        process.given = frozenset()
        self._rebalance()

    @precondition(lambda self: any(process.sleeps for process in self.processes))
    @rule(data=st.data(), commits_first=st.booleans())
    def wake(self, data: st.DataObject, commits_first: bool) -> None:
        """It goes on with what it was at, hears that it has lost everything, and joins again."""
        process = data.draw(st.sampled_from([process for process in self.processes if process.sleeps]))
        process.sleeps = False
        if commits_first:
            self._work(process)
        self.members.append(process)
        self._rebalance()

    @precondition(lambda self: any(not process.sleeps for process in self.processes))
    @rule(data=st.data())
    def be_robbed(self, data: st.DataObject) -> None:
        """Somebody outside of the group takes a task over for a moment."""
        process = data.draw(st.sampled_from([process for process in self.processes if not process.sleeps]))
        for task in process.working:
            self.fence[task] = Process(())
        self._work(process)

    @rule()
    def work(self) -> None:
        for process in self.processes:
            if not process.sleeps:
                self._work(process)

    @rule()
    def settle(self) -> None:
        """When every pause is over, every task is at work where the group has put it, and everybody else stands by."""
        self._settle()
        for process in self.members:
            assert process.working == process.duty.own
            assert all(self.fence[task] is process for task in process.working)
        at_work = {task for process in self.members for task in process.working}
        known_by_all = [set(process.tasks) for process in self.members]
        assert not known_by_all or set.intersection(*known_by_all) <= at_work

    @invariant()
    def no_task_has_two_who_work_at_it(self) -> None:
        """One that sleeps does not know better, and Kafka fences it."""
        awake = [process for process in self.processes if not process.sleeps]
        for task in {*OLD, *NEW}:
            assert sum(task in process.working for process in awake) <= 1

    @invariant()
    def everybody_does_what_the_group_said(self) -> None:
        for process in self.processes:
            own = {task for task in process.tasks if partition_of(task) in process.heard}
            assert process.duty.own == own
            assert process.duty.others == set(process.tasks) - own
            assert process.working | process.waiting.keys() == own

    def teardown(self) -> None:
        self.settle()

    def _rebalance(self) -> None:
        """Eager: everybody who is awake leaves everything first, and takes what the group gives then."""
        for process in self.members:
            self._hear(process, frozenset())
        share = -(-PARTITIONS // len(self.members)) if self.members else 0
        for place, process in enumerate(self.members):
            process.given = frozenset(range(PARTITIONS)[place * share : (place + 1) * share])
            self._hear(process, process.given)

    def _hear(self, process: Process, partitions: frozenset[int]) -> None:
        stopped = process.duty.revoked(process.heard - partitions)
        process.working -= stopped
        for task in stopped:
            process.waiting.pop(task, None)
        for task in process.duty.assigned(partitions - process.heard):
            self._start(process, task)
        process.heard = partitions

    def _start(self, process: Process, task: str) -> None:
        process.working.add(task)
        self.fence[task] = process

    def _work(self, process: Process) -> None:
        """Commits a batch of each task; whoever is fenced waits."""
        for task in sorted(process.working):
            if self.fence[task] is not process:
                process.working.remove(task)
                process.waiting[task] = self.now + process.duty.fenced(task, self.now)

    def _settle(self) -> None:
        """Lets every pause pass; nobody is fenced meanwhile but by those who take back what is theirs."""
        for _ in range(len(self.processes) + 1):
            for process in self.members:
                self._work(process)
            self.now += LONGEST_RETAKE_S
            for process in self.members:
                for task in [task for task, at in process.waiting.items() if at <= self.now]:
                    del process.waiting[task]
                    self._start(process, task)
        assert not any(process.waiting for process in self.members)


TestGroup = Group.TestCase
TestGroup.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)
