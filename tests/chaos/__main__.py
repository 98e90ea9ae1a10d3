"""The chaos campaign: faults over all scenarios, and a table of what came of it.

    python -m tests.chaos --faults 1000

An interrupted campaign goes on where it was; --fresh begins anew. With --lanes 2 two stacks are broken at once,
each by a process that takes the next round that nobody is at: most of a campaign is waiting. Exit code 1 when anything
was lost, doubled, reordered or otherwise wrong, when a zombie was not fenced, and when a round could not be judged.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mainstem.cli.exit import DONE, INTERRUPTED, PROBLEMS
from mainstem.cli.output import Format, FormatOption, progress, say, show_rows
from tests.chaos.campaign import Kept, Round, listed, rounds
from tests.chaos.leftovers import end_leftovers
from tests.chaos.scenario import Ground, Tally, open_stack

REPOSITORY = Path(__file__).parent.parent.parent
HOME = REPOSITORY / ".mainstem" / "chaos"
KEPT = REPOSITORY / "build" / "chaos"
COLUMNS = (
    "scenario", "faults", "records", "lost", "doubled", "reordered", "otherwise_wrong", "zombies",
    "longest_recovery_s", "minutes",
)  # fmt: skip


def main(
    *,
    faults: Annotated[int, typer.Option(min=1, help="Faults in all.")] = 1000,
    only: Annotated[list[str] | None, typer.Option(help="Only this scenario. Repeatable.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew.")] = False,
    seed: Annotated[int | None, typer.Option(help="Repeat the campaign that said so.")] = None,
    output: FormatOption = Format.TABLE,
    home: Annotated[Path, typer.Option(help="The folder of the stack that is broken.")] = HOME,
    kept: Annotated[Path, typer.Option(help="The folder that keeps finished rounds.")] = KEPT,
    lanes: Annotated[int, typer.Option(min=1, help="Stacks that are broken at the same time.")] = 1,
    is_lane: Annotated[bool, typer.Option("--is-lane", hidden=True)] = False,
) -> None:
    """Breaks everything again and again, and judges what has become of every record."""
    keeper = Kept(kept)
    if fresh:
        keeper.clear()
    chosen = [(scenario, entry) for scenario, entry in listed() if not only or scenario.name in only]
    if not chosen:
        raise typer.BadParameter(f"scenarios are: {', '.join(scenario.name for scenario, _ in listed())}")
    seed = keeper.seed(seed)
    say(f"seed {seed}, rounds are kept in {kept}")
    planned = rounds(chosen, faults, seed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it too leaves nothing running
    if not is_lane:
        end_leftovers(keeper.folder)
    told = ["--faults", str(faults), "--seed", str(seed), "--kept", str(kept), "--is-lane"]
    told += [word for name in only or () for word in ("--only", name)]
    try:
        with _lanes([[*told, "--home", f"{home}-{number}"] for number in range(2, lanes + 1)]) as others:
            failed = _run(planned, keeper, home)
            failed += [f"lane {number}" for number, lane in enumerate(others, 2) if lane.wait() not in {DONE, PROBLEMS}]
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where this one was")
        raise typer.Exit(INTERRUPTED) from None
    if is_lane:
        raise typer.Exit(PROBLEMS if failed else DONE)
    tallies = _tallies(planned, keeper)
    show_rows(map(_row, tallies), COLUMNS, output)
    raise typer.Exit(PROBLEMS if failed or any(tally.wrong for tally in tallies) else DONE)


@contextmanager
def _lanes(lanes: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Other processes on stacks of their own, which take rounds as this one does. Asked to end with this context."""
    running = [subprocess.Popen([sys.executable, "-m", "tests.chaos", *told], cwd=REPOSITORY) for told in lanes]
    try:
        yield running
    finally:
        for lane in running:
            lane.terminate()
        for lane in running:
            lane.wait()


def _run(planned: Sequence[Round], keeper: Kept, home: Path) -> list[str]:
    """Runs the rounds that are not over; gives the names of those that could not be judged."""
    if all(keeper.tally(one) is not None for one in planned):
        return []
    failed = []
    with progress("faults", sum(one.faults for one in planned)) as bar, open_stack(home):
        for one in planned:
            over = sum(other.faults for other in planned if keeper.tally(other) is not None)
            bar.update(bar.task_ids[0], description=one.name, completed=over)
            with keeper.claimed(one) as is_ours:
                if is_ours and not _play(one, keeper, home):
                    failed.append(one.name)
    return failed


def _play(one: Round, keeper: Kept, home: Path) -> bool:
    folder = keeper.ground(one)
    try:
        tally = one.run(Ground.of(home, folder))
    except Exception:  # noqa: BLE001 - a round that cannot be judged must not cost the campaign the others
        say(f"{one.name} (seed {one.seed}) could not be judged; see {folder}\n{traceback.format_exc()}")
        return False
    keeper.keep(one, tally)
    if tally.wrong:
        say(f"{one.name} (seed {one.seed}): {'; '.join(tally.notes)}; see {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _tallies(planned: Sequence[Round], keeper: Kept) -> list[Tally]:
    """Of each scenario, and of all together."""
    over = [tally for one in planned if (tally := keeper.tally(one)) is not None]
    names = dict.fromkeys(tally.scenario for tally in over)
    each = [Tally.together(name, [tally for tally in over if tally.scenario == name]) for name in names]
    return [*each, Tally.together("all", over)]


def _row(tally: Tally) -> Mapping[str, Any]:
    return {
        **tally.as_dict(),
        "faults": tally.struck,
        "faults_by_kind": dict(sorted(tally.faults.items())),
        "otherwise_wrong": tally.wrong - tally.lost - tally.doubled - tally.reordered,
        "zombies": f"{tally.zombies_fenced} of {tally.zombies_woken} fenced",
        "minutes": round(tally.seconds / 60, 1),
    }


if __name__ == "__main__":
    typer.run(main)
