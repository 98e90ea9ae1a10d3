"""Writes docs/errors.md from the catalogue of errors: `python docs/errors.py`."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from mainstem import errors

PAGE = Path(__file__).with_suffix(".md")
HUNDREDS = {
    "1": ("The record", "It is a dead letter, or the request that brought it is refused; the other records go on."),
    "2": (
        "The project and what is set up",
        "A person has to change something. The part pauses, keeps its records and goes on by itself after that; a "
        "command ends with exit code 2.",
    ),
    "3": ("Dependencies", "Something does not answer. The part waits and goes on by itself; no record is given up."),
    "4": ("Guards and ownership", "A safety guard, a request's sender or another worker is in the way."),
}
HEAD = dedent(
    """\
    # Errors

    <!-- Written by docs/errors.py from mainstem/errors.py. Change it there. -->

    Every error has a stable code, a cause and a fix. The code is on the command line, in the log, on `/readyz`, in
    the answers of the HTTP API and in the header `mainstem_error_code` of a dead letter. What a code means never
    changes, and no code is used again.

    What happens with an error is settled by its class. Authors of connectors, streams and mappings raise the first
    three:
    """
)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, "```", _tree(), "```", *(_section(hundred) for hundred in HUNDREDS)])


def _tree() -> str:
    """As the module's docstring draws it."""
    lines = (errors.__doc__ or "").splitlines()
    return dedent("\n".join(line for line in lines if line.startswith("    ")))


def _section(hundred: str) -> str:
    title, meaning = HUNDREDS[hundred]
    codes = [code for code in errors.catalogue() if code.number.startswith(f"MS-{hundred}")]
    rows = [f"| {code.number} | {_escaped(code.title)} | {_escaped(code.fix)} |" for code in codes]
    return "\n".join(
        [f"\n## MS-{hundred}xx: {title}\n", f"{meaning}\n", "| code | cause | fix |", "|---|---|---|", *rows]
    )


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(f"{page()}\n", encoding="utf-8")
