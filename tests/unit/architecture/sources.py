"""What the repository's own modules import, read from their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
ROOTS = ("mainstem", "connectors", "streams", "integrations")


@dataclass(frozen=True)
class Import:
    """One imported thing: `from a.b import c` is ("a.b", "c"), `import a.b` is ("a.b", "")."""

    path: Path
    line: int
    module: str
    name: str
    in_function: bool

    def __str__(self) -> str:
        what = f"from {self.module} import {self.name}" if self.name else f"import {self.module}"
        return f"{self.path.relative_to(REPOSITORY)}:{self.line}: {what}"

    def is_of(self, package: str) -> bool:
        """Whether it takes the package, or something inside it."""
        return f"{self.module}.{self.name}.".startswith(f"{package}.")


def imports(*folders: str) -> list[Import]:
    """Every import of the modules in those folders of the repository."""
    found = [one for folder in folders for path in modules(folder) for one in _imports_of(path)]
    assert found, f"nothing is imported in {folders}: are they still there?"
    return found


def modules(folder: str) -> list[Path]:
    """The Python files in that folder, those of its subfolders included."""
    return sorted((REPOSITORY / folder).rglob("*.py"))


def connectors() -> set[str]:
    """The names of the connectors that the repository holds."""
    return {path.name for path in (REPOSITORY / "connectors").iterdir() if (path / "__init__.py").exists()}


def _imports_of(path: Path) -> Iterator[Import]:
    yield from _walk(path, ast.parse(path.read_text(encoding="utf-8")), in_function=False)


def _walk(path: Path, node: ast.AST, *, in_function: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                yield from (Import(path, child.lineno, name.name, "", in_function) for name in names)
            case ast.ImportFrom(module=module, names=names):
                yield from (Import(path, child.lineno, module or ".", name.name, in_function) for name in names)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _walk(path, child, in_function=True)
            case _:
                yield from _walk(path, child, in_function=in_function)
