"""Runs a command as an ordinary user, for a server that refuses to run as root: USER FOLDER COMMAND...

A script of its own, started with `python -I -S`, because a fork must not run Python between threads (several parts
start at once), and because it ends by becoming the command.

Where USER cannot reach FOLDER or COMMAND (a project below /root, a folder of mktemp), the command keeps two of root's
capabilities, to walk and read files, instead of our opening those folders to everybody.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become(user: str, folder: str, command: list[str]) -> None:
    """Never returns: the process is `command` afterwards, or ends with a line on standard error."""
    account = pwd.getpwnam(user)
    linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    if linux:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    # access() asks for the user alone, whatever capabilities the process has kept.
    if linux and not (os.access(command[0], os.X_OK) and os.access(folder, os.W_OK | os.X_OK)):
        _keep(libc, (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH))
    try:
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        sys.exit(f"FATAL: the user {user!r} cannot run {command[0]}: {error.strerror}")


def _keep(libc: ctypes.CDLL, wanted: tuple[int, ...]) -> None:
    """Keeps those of the wanted capabilities that we have, through execv as well (capabilities(7), ambient set)."""
    header = _Header(CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)()
    libc.capget(ctypes.byref(header), sets)
    held = [capability for capability in wanted if sets[0].permitted & (1 << capability)]
    mask = sum(1 << capability for capability in held)
    sets[0] = _Sets(mask, mask, mask)
    sets[1] = _Sets(0, 0, 0)
    libc.capset(ctypes.byref(header), sets)
    for capability in held:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


if __name__ == "__main__":
    become(sys.argv[1], sys.argv[2], sys.argv[3:])
