"""The development stack: Apache Kafka, the Apicurio registry and PostgreSQL, real, from packages alone.

    with devstack.shared(folder) as running:      # the last user that leaves stops it
        running.stack.bootstrap

    devstack.ensure(folder)                       # stays until devstack.stop(folder)

Everything of a project's stack lives in `<folder>/.mainstem/` (data, logs, `stack.json`); downloads are shared by all
projects of a user, in MAINSTEM_CACHE or the user's cache folder.
"""

from mainstem.devstack.databases import ensure_database, recreate_database
from mainstem.devstack.given import given_stack
from mainstem.devstack.progress import SILENT, Advance, Progress
from mainstem.devstack.running import ensure, find, shared, stop
from mainstem.devstack.stack import Part, RunningStack, Stack

__all__ = [
    "SILENT",
    "Advance",
    "Part",
    "Progress",
    "RunningStack",
    "Stack",
    "ensure",
    "ensure_database",
    "find",
    "given_stack",
    "recreate_database",
    "shared",
    "stop",
]
