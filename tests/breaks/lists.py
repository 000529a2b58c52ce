"""What the lists say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(Exception):
    """The code is no longer as a break would have it."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    file: str  # in cognito_wsgi/
    was: str
    becomes: str

    def apply(self, root: Path) -> None:
        path = root / "cognito_wsgi" / self.file
        text = path.read_text("utf-8")
        if (count := text.count(self.was)) != 1:
            raise DoesNotApply(f"stands {count} times in {self.file}: {self.was}")
        path.write_text(text.replace(self.was, self.becomes), "utf-8")


@dataclass(frozen=True, kw_only=True)
class Break(Edit):
    what: str
    only: Sequence[str] = ()
    hangs: bool = False
    also: Sequence[Mapping[str, str]] = ()

    @property
    def edits(self) -> list[Edit]:
        return [self, *(Edit(**edit) for edit in self.also)]

    @contextmanager
    def applied(self, root: Path) -> Iterator[None]:
        paths = {root / "cognito_wsgi" / edit.file for edit in self.edits}
        before = {path: path.read_bytes() for path in paths}
        try:
            for edit in self.edits:
                edit.apply(root)
            yield
        finally:
            for path, data in before.items():
                path.write_bytes(data)


@dataclass(frozen=True)
class BreakList:
    """The breaks for one test module."""

    module: str  # "test_tokens", "local/test_pool"
    breaks: Sequence[Break]
    never: Mapping[str, str]

    @classmethod
    def read(cls, root: Path, module: str) -> BreakList:
        table = tomllib.loads((root / "tests/breaks" / f"{module}.toml").read_text("utf-8"))
        return cls(module, [Break(**row) for row in table.pop("break")], **({"never": {}} | table))


def find_modules(root: Path) -> list[str]:
    """The test modules that have a list."""
    folder = root / "tests/breaks"
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.toml"))
