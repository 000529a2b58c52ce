"""What the commands print: tables for people, colour on a terminal alone, and nothing that a terminal would obey."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "dim": 2}


class Report(NamedTuple):
    """The outcome of a command: for people, for machines, and for the shell."""

    lines: list[str]
    data: object
    status: int


class Paint:
    """Colours a text, or leaves it as it is where nobody sees colours or wants any (no-color.org)."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._is_on = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._is_on else text


def columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The rows with each cell but the last padded to its column's width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        yield [*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), last]


_REPR = reprlib.Repr()  # bounds the work, whatever the value
_REPR.maxstring = _REPR.maxother = 200
_REPR.maxlist = 20


def shown(value: object) -> str:
    """What came from outside, in a form that a terminal only shows."""
    return _REPR.repr(value)
