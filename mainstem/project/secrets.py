"""Where `${secret:name}` finds its value: an environment variable, or a file of that name in a folder."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mainstem.errors import MISSING_SECRET, Misconfigured
from mainstem.project import names
from mainstem.sdk.secret import Secret
from mainstem.sdk.settings import Settings

MAX_BYTES = 65_536

_NAME = re.compile(names.SECRET_NAME)


class SecretSettings(Settings):
    """Where secrets are looked up. The environment always comes first."""

    backend: Literal["env", "file"] = "env"
    """env: MAINSTEM_SECRET_<NAME> only; file: also a file of the secret's name in the folder."""
    folder: Path = Path(".mainstem/secrets")
    """One file per secret, its trailing line break not part of it. Keep it out of git, readable by its owner only."""


@dataclass(frozen=True, slots=True)
class SecretStore:
    """Looks secrets up, each time anew: a rotated secret is found by the next one who asks."""

    settings: SecretSettings
    environ: Mapping[str, str] = field(repr=False)

    def get(self, name: str) -> Secret:
        """The secret of that name; raises Misconfigured (MISSING_SECRET) where there is none, or an empty one."""
        value = self._from_environment(name) or self._from_file(name)
        if not value:
            raise Misconfigured(f"the secret `{name}` is not set", code=MISSING_SECRET, fix=self._fix(name))
        return Secret(value)

    def is_exposed(self, name: str) -> bool:
        """Whether other users of the machine can read the file that the secret comes from."""
        if self._from_environment(name) or not (file := self._file(name)):
            return False
        try:
            return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            return False

    def file(self, name: str) -> Path:
        """Where the file of that secret is, or would be."""
        return self.settings.folder / name

    def _from_environment(self, name: str) -> str | None:
        return self.environ.get(variable(name)) if is_name(name) else None

    def _file(self, name: str) -> Path | None:
        """None where files are not asked, or where the name could leave the folder."""
        return self.file(name) if self.settings.backend == "file" and is_name(name) else None

    def _from_file(self, name: str) -> str | None:
        if (file := self._file(name)) is None:
            return None
        try:
            raw = file.read_bytes() if file.stat().st_size <= MAX_BYTES else None
        except FileNotFoundError:
            return None
        except OSError as problem:
            cause = f"the secret `{name}` cannot be read from {file}: {problem.strerror}"
            raise Misconfigured(cause, code=MISSING_SECRET, fix="let this user read the file") from None
        if raw is None:
            raise Misconfigured(f"the secret `{name}` is larger than {MAX_BYTES:,} bytes", code=MISSING_SECRET)
        try:
            return raw.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:  # its message would quote the bytes
            fix = "keep bytes as Base64 text"
        raise Misconfigured(f"the secret `{name}` is not UTF-8 text", code=MISSING_SECRET, fix=fix)

    def _fix(self, name: str) -> str:
        if self.settings.backend == "file":
            return f"set {variable(name)} or write it to {self.file(name)}"
        return f"set {variable(name)}"


def is_name(name: str) -> bool:
    """Whether a secret may be called that."""
    return len(name) <= names.MAX_NAME_LENGTH and _NAME.fullmatch(name) is not None


def variable(name: str) -> str:
    """The environment variable of a secret."""
    return f"MAINSTEM_SECRET_{name.upper()}"
