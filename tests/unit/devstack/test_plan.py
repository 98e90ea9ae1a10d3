from __future__ import annotations

from pathlib import Path

from mainstem.devstack.plan import Plan, Seen, mark, ours, plan
from mainstem.devstack.stack import Home, Part, Stack, State

HOME = Home(Path("/project/.mainstem"))
ALL = frozenset(Part)
NOTED = {Part.KAFKA: 11, Part.REGISTRY: 12, Part.POSTGRES: 13}
STATE = State(Stack("b", "r", "p", pids=NOTED), ports={})
ALIVE = {part: frozenset({pid}) for part, pid in NOTED.items()}


def server(part: Part, pid: int, home: Home = HOME) -> Seen:
    return Seen(pid, 1, "java", ("java", mark(home, part), "-jar", "x.jar"))


def worker(pid: int, parent: int, home: Home = HOME) -> Seen:
    return Seen(pid, parent, "postgres", ("postgres: checkpointer ",), home.folder / "postgres" / "data")


def test_a_stack_that_runs_as_noted_and_answers_is_left_alone() -> None:
    assert plan(STATE, ALIVE, ALL) == Plan(keep=ALL, start=frozenset(), stop=frozenset())


def test_nothing_known_and_nothing_running_means_that_all_is_started() -> None:
    nothing = dict.fromkeys(Part, frozenset[int]())
    assert plan(None, nothing, set()) == Plan(keep=frozenset(), start=ALL, stop=frozenset())


def test_a_dead_broker_is_started_and_the_rest_kept() -> None:
    found = plan(STATE, {**ALIVE, Part.KAFKA: frozenset()}, ALL - {Part.KAFKA})
    assert found == Plan(
        keep=frozenset({Part.REGISTRY, Part.POSTGRES}), start=frozenset({Part.KAFKA}), stop=frozenset()
    )


def test_a_process_that_runs_but_does_not_answer_is_stopped_and_started_anew() -> None:
    found = plan(STATE, ALIVE, ALL - {Part.KAFKA})
    assert found.stop == {11}
    assert found.start == {Part.KAFKA}


def test_the_registry_goes_with_its_database() -> None:
    found = plan(STATE, {**ALIVE, Part.POSTGRES: frozenset()}, ALL - {Part.POSTGRES})
    assert found.start == {Part.REGISTRY, Part.POSTGRES}
    assert found.stop == {12}


def test_processes_that_no_note_tells_of_are_leftovers() -> None:
    found = plan(None, ALIVE, ALL)
    assert found == Plan(keep=frozenset(), start=ALL, stop=frozenset({11, 12, 13}))


def test_a_number_that_another_program_has_by_now_is_not_ours_and_not_stopped() -> None:
    others = [Seen(11, 1, "editor", ("editor", "kafka.py")), Seen(12, 1, "java", ("java", "-jar", "other.jar"))]
    found = plan(STATE, ours(others, HOME), ALL)
    assert found == Plan(keep=frozenset(), start=ALL, stop=frozenset())


def test_two_processes_of_one_part_are_both_leftovers() -> None:
    found = plan(STATE, {**ALIVE, Part.KAFKA: frozenset({11, 99})}, ALL)
    assert found.stop == {11, 99}


def test_the_stack_of_another_project_is_not_ours() -> None:
    neighbour = Home(Path("/project/.mainstem/test/.mainstem"))
    seen = [server(part, 20, neighbour) for part in Part] + [worker(21, 1, neighbour)]
    assert set().union(*ours(seen, HOME).values()) == set()


def test_the_workers_of_a_living_database_are_its_own_matter() -> None:
    seen = [server(Part.POSTGRES, 13), worker(14, parent=13)]
    assert ours(seen, HOME)[Part.POSTGRES] == {13}


def test_a_worker_that_was_forked_just_now_and_still_has_its_servers_name_is_no_second_server() -> None:
    data = mark(HOME, Part.POSTGRES)
    seen = [Seen(13, 1, "postgres", ("postgres", "-D", data)), Seen(14, 13, "postgres", ("postgres", "-D", data))]
    assert ours(seen, HOME)[Part.POSTGRES] == {13}


def test_the_workers_of_a_killed_database_are_leftovers() -> None:
    assert ours([worker(14, parent=1)], HOME)[Part.POSTGRES] == {14}
