"""What stands between two slashes of a rule, compared with the segments of a path."""

from __future__ import annotations

import logging
import re

from werkzeug.routing import BaseConverter, PathConverter, ValidationError

from .errors import BadRequestError, ConfigurationError
from .rule_keys import Run, regex_of

log = logging.getLogger("cognito_wsgi")


class Pattern:
    """What stands between two slashes of a rule, for comparison with a segment of a path."""

    def __init__(self, run: Run, *, before: str = "", after: str = "") -> None:
        try:
            self._fullmatch = re.compile(before + regex_of(run) + after, re.DOTALL).fullmatch
        except re.error as error:
            raise ConfigurationError([f"the regular expression of its converter is wrong: {error}"]) from None
        #: Converters that may refuse what their regular expression takes, each with the name of its group.
        self._checks = [
            (f"v{number}", piece)
            for number, piece in enumerate(run)
            if not isinstance(piece, str) and type(piece).to_python is not BaseConverter.to_python
        ]

    def matches(self, text: str) -> bool:
        """Whether the regular expressions of the converters fit."""
        return self._fullmatch(text) is not None

    def takes(self, text: str) -> bool:
        """Whether the text matches and each converter takes its value, as a view's would."""
        match = self._fullmatch(text)
        if match is None:
            return False
        return not self._checks or all(_is_valid(converter, match[name]) for name, converter in self._checks)

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        """Where in the path one may be behind this, having been at one of ``starts`` before it."""
        return {start + 1 for start in starts if start < len(segments) and self.takes(segments[start])}


class _PathPattern(Pattern):
    """The same with ``<path:…>`` in it: from a segment that it may begin in to any that it may end in.

    A regular expression with two of them would run back and forth over a hostile path for minutes.
    """

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(run)
        self._first = Pattern(run[:number], after="[^/].*")
        self._last = Pattern(run[number + 1 :], before=".*?")

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        second = min(self._first.find_ends(segments, starts), default=len(segments))
        later = range(second, len(segments))
        return super().find_ends(segments, starts) | self._last.find_ends(segments, set(later))


class _SlashPattern(Pattern):
    """The same with anything else that takes slashes: a converter of the application's own, or two paths."""

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        return {
            end
            for start in starts
            for end in range(start + 1, len(segments) + 1)
            if self.takes(text := "/".join(segments[start:end]))
            or (end < len(segments) and self.takes(text + "/"))  # it may want the slash for itself
        }


def compile_run(run: Run) -> Pattern:
    crossing = [n for n, piece in enumerate(run) if not isinstance(piece, str) and not piece.part_isolating]
    if not crossing:
        return Pattern(run)
    if len(crossing) == 1 and type(run[crossing[0]]) is PathConverter:
        return _PathPattern(run, crossing[0])
    return _SlashPattern(run)


def _is_valid(converter: BaseConverter, text: str) -> bool:
    try:
        converter.to_python(text)
    except ValidationError:
        return False
    except Exception:  # it may be anybody's
        log.exception("the converter %s of a rule broke; nobody is let in", type(converter).__name__)
        raise BadRequestError("The address is malformed.", reason="a rule's converter broke on it") from None
    return True
