"""Which wish and which event is allowed in which state of a replay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.recover.job_states import following
from mainstem.recover.replay import JOBS, Happening, Job, JobState, planned
from tests.unit.recover.test_replay_plan import made

STATES = {
    # state                BEGIN      PAUSE      CANCEL       FAIL       FINISH
    JobState.PLANNED: ("running", None, "cancelled", None, None),
    JobState.RUNNING: ("running", "paused", "cancelled", "stopped", "done"),
    JobState.PAUSED: ("running", "paused", "cancelled", None, None),
    JobState.STOPPED: ("running", "stopped", "cancelled", None, None),
    JobState.CANCELLED: (None, None, "cancelled", None, None),
    JobState.DONE: (None, None, None, None, None),
}


@pytest.mark.parametrize("state", JobState)
def test_every_state_knows_what_may_happen_to_it(state: JobState) -> None:
    assert tuple(following(state, happening) for happening in Happening) == STATES[state]


@given(st.lists(st.sampled_from(list(Happening)), max_size=12))
def test_whatever_happens_an_end_is_an_end(happenings: list[Happening]) -> None:
    job = planned(made())
    ended = False
    for happening in happenings:
        try:
            job = job.on(happening)
        except Refused as refused:
            assert refused.code is PLAN_CHANGED
        if ended:
            assert job.state.is_final
        ended = job.state.is_final


def test_a_cancelled_replay_cannot_be_resumed() -> None:
    job = planned(made()).on(Happening.BEGIN).on(Happening.CANCEL)

    with pytest.raises(Refused, match=f"replay {job.id} is cancelled"):
        job.on(Happening.BEGIN)


def test_cancelling_a_plan_forgets_it_and_a_replay_that_has_begun_is_kept() -> None:
    plan = planned(made())

    assert JOBS.record(plan.on(Happening.CANCEL)).value is None
    assert JOBS.record(plan.on(Happening.BEGIN).on(Happening.CANCEL)).value is not None


def test_the_reason_for_stopping_survives_a_pause_and_not_a_resumption() -> None:
    stopped = planned(made()).on(Happening.BEGIN).on(Happening.FAIL, "MS-303 down")

    assert stopped.on(Happening.PAUSE) is stopped
    resumed: Job = stopped.on(Happening.BEGIN)
    assert (resumed.state, resumed.error) == (JobState.RUNNING, None)
