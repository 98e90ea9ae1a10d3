"""The person's own editor, on a file that nobody else can read."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mainstem.errors import Misconfigured


def edit_text(text: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Opens the text in $VISUAL or $EDITOR (vi without them), and waits; gives the file with what it is then.

    The caller removes the file. Raises Misconfigured when the editor cannot be started, or says that it failed.
    """
    command = environment.get("VISUAL") or environment.get("EDITOR") or "vi"
    handle, name = tempfile.mkstemp(prefix="mainstem-letter-", suffix=".json")
    file = Path(name)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)
    try:
        code = subprocess.run([*shlex.split(command), name], check=False).returncode  # noqa: S603 - the person's own
    except (OSError, ValueError):
        file.unlink()
        raise Misconfigured(f"the editor {command!r} cannot be started", fix="set EDITOR, or use --set") from None
    if code:
        file.unlink()
        raise Misconfigured(f"the editor {command!r} ended with {code}", fix="nothing was changed; try again")
    return file
