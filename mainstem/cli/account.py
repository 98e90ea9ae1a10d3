"""Who does it: the name that is kept beside what a person changes."""

from __future__ import annotations

from getpass import getuser


def account_name() -> str:
    """The account's name; an account without one (a container's) is `unknown`."""
    try:
        return getuser()
    except (KeyError, OSError):
        return "unknown"
