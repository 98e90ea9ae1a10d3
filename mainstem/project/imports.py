"""Imports the user's code: the one place that puts the project folder on Python's path and runs what is there.

`connectors`, `streams` and `integrations` are namespace packages: the folder's part merges with what is installed. The
folder comes last on the path, so nothing in it can stand in for the standard library or for an installed package.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType

from mainstem.errors import BAD_PROJECT, FUNCTION_FAILED, MISSING_EXTRA
from mainstem.project.findings import Finding, Place, ProjectError, error

PACKAGES = ("connectors", "streams", "integrations")


def put_on_path(folder: Path) -> None:
    """Makes the folder's code importable; once is enough, more does no harm."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


def available(folder: Path, package: str) -> list[str]:
    """The modules that a namespace package has, in the folder and installed; none of them is imported."""
    put_on_path(folder)
    try:
        found = importlib.import_module(package)
    except ModuleNotFoundError:
        return []
    return sorted(module.name for module in pkgutil.iter_modules(found.__path__) if not module.name.startswith("_"))


def load_module(folder: Path, package: str, name: str, place: Place) -> ModuleType | None:
    """The module `<package>.<name>`; None where there is none. Raises ProjectError when its code fails.

    `place` is where the project's files name it.
    """
    put_on_path(folder)
    full_name = f"{package}.{name}"
    try:
        module = importlib.import_module(full_name)
    except ModuleNotFoundError as missing:
        if missing.name in (package, full_name):
            return None
        raise ProjectError(_failure(folder, full_name, place, missing)) from None
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - the user's code may raise anything; we name file and line
        raise ProjectError(_failure(folder, full_name, place, failure)) from None
    _refuse_hidden(folder, package, name, module, place)
    return module


def forget(folder: Path) -> None:
    """Takes the folder off the path and its modules out of memory, so that another project can be read."""
    for name, module in list(sys.modules.items()):
        if name in PACKAGES or (name.partition(".")[0] in PACKAGES and _is_inside(folder, module)):
            del sys.modules[name]  # a namespace package remembers where its parts were
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    importlib.invalidate_caches()


def package_findings(folder: Path) -> list[Finding]:
    """What keeps the namespace packages from merging: an `__init__.py` at their top would hide all installed ones."""
    inits = [folder / package / "__init__.py" for package in PACKAGES]
    message = "hides the installed modules: this folder is shared with them"
    return [error(Place(_shown(folder, init)), message, fix="delete the file") for init in inits if init.exists()]


def _refuse_hidden(folder: Path, package: str, name: str, module: ModuleType, place: Place) -> None:
    """Somebody edits a module of the project, and an installed one of that name would run."""
    own = [path for path in (folder / package / name, folder / package / f"{name}.py") if path.exists()]
    if own and module.__file__ and not _is_inside(folder, module):
        message = f"`{_shown(folder, own[0])}` is hidden by an installed module of that name"
        raise ProjectError(error(place, message, fix="rename it, here and in the file that names it"))


def _is_inside(folder: Path, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(folder)


def _failure(folder: Path, full_name: str, place: Place, failure: BaseException) -> Finding:
    where = where_raised(folder, failure) or place
    if isinstance(failure, ModuleNotFoundError) and failure.name:
        message = f"`{full_name}` cannot be imported: there is no module `{failure.name}`"
        fix = f"install what provides `{failure.name}`, or correct the import"
        return error(where, message, fix=fix, code=MISSING_EXTRA)
    is_syntax = isinstance(failure, SyntaxError)
    text = failure.msg if isinstance(failure, SyntaxError) else one_line(failure)
    message = f"`{full_name}` cannot be imported: {text}"
    return error(where, message, fix="mend the code", code=BAD_PROJECT if is_syntax else FUNCTION_FAILED)


def one_line(failure: BaseException) -> str:
    """The exception as `Class: message`, its message cut to one line of at most 200 characters."""
    message = (str(failure).splitlines() or [""])[0][:200]
    return f"{type(failure).__name__}: {message}" if message else type(failure).__name__


def where_raised(folder: Path, failure: BaseException) -> Place | None:
    """The innermost line of the project's own code that the exception came through; None where it has none."""
    if isinstance(failure, SyntaxError) and failure.filename:
        return Place(_shown(folder, Path(failure.filename)), failure.lineno or 1, failure.offset or 1)
    frames = traceback.extract_tb(failure.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    package = [frame for frame in frames if not _is_machinery(frame.filename)]
    for frame in reversed(own or package):
        return Place(_shown(folder, Path(frame.filename)), frame.lineno or 1, (frame.colno or 0) + 1)
    return None


def _is_machinery(filename: str) -> bool:
    return filename.startswith("<frozen") or filename in (__file__, importlib.__file__)


def _shown(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
