"""What stands between two slashes of a rule, compared with the segments of a path."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import chain

from werkzeug.routing import BaseConverter, ValidationError

from .errors import BadRequestError, ConfigurationError
from .rule_keys import Run, is_werkzeugs, regex_of

log = logging.getLogger("cognito_wsgi")


class _Texts:
    """The literal texts of a run.

    A regular expression for several converters would try all ways to share a hostile text out among them before it
    finds that a literal one is missing.
    """

    def __init__(self, run: Run, before: str, after: str) -> None:
        texts = [piece for piece in run if isinstance(piece, str)]
        self._first = texts.pop(0) if not before and isinstance(run[0], str) else ""
        self._last = texts.pop() if not after and isinstance(run[-1], str) else ""
        self._between = texts

    def stand_in(self, text: str) -> bool:
        """Whether a text has them, in their order."""
        if not text.startswith(self._first) or not text.endswith(self._last):
            return False
        place, end = len(self._first), len(text) - len(self._last)
        for each in self._between:
            found = text.find(each, place, end)
            if found < 0:
                return False
            place = found + len(each)
        return True


def _count_shares(run: Run, before: str, after: str) -> int:
    return sum(not isinstance(piece, str) for piece in run) + bool(before) + bool(after)


class Pattern:
    """What stands between two slashes of a rule, for comparison with a segment of a path."""

    def __init__(self, run: Run, *, before: str = "", after: str = "") -> None:
        try:
            self._fullmatch = re.compile(before + regex_of(run) + after, re.DOTALL).fullmatch
        except re.error as error:
            raise ConfigurationError([f"the regular expression of its converter is wrong: {error}"]) from None
        self._texts = _Texts(run, before, after) if _count_shares(run, before, after) > 1 else None
        #: Converters that may refuse what their regular expression takes, each with the name of its group.
        self._checks = [
            (f"v{number}", piece)
            for number, piece in enumerate(run)
            if not isinstance(piece, str) and type(piece).to_python is not BaseConverter.to_python
        ]

    @property
    def may_be_nothing(self) -> bool:
        """Whether a trailing slash could be read as this, with nothing for its value."""
        return self._fullmatch("") is not None

    def takes(self, text: str) -> bool:
        """Whether the text matches and each converter takes its value, as a view's would."""
        if self._texts is not None and not self._texts.stand_in(text):
            return False
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
    """The same with more than one path in it."""

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        return {
            end
            for start in starts
            for end in range(start + 1, len(segments) + 1)
            if self.takes(text := "/".join(segments[start:end]))
            or (end < len(segments) and self._takes_slashed(text + "/"))
        }

    def _takes_slashed(self, text: str) -> bool:
        """Whether it wants the slash behind a segment for itself."""
        return self.takes(text)


class _WholePattern(_SlashPattern):
    """All that stands in a part which takes slashes, one of them for a converter of the application's own.

    Its regular expression may look at what is beside it, or cross the slashes of others. So the part is compared in
    one go, as Werkzeug does.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        run = tuple(chain(runs[0], *(("/", *run) for run in runs[1:])))
        super().__init__(run)
        self._last = Pattern(runs[-1])
        #: A key with a slash at the end is compared so. It is the same rule without, and must fit its route.
        self._slashed = Pattern(run, after=r"(?<!/)/?")

    @property
    def may_be_nothing(self) -> bool:
        return self._last.may_be_nothing

    def _takes_slashed(self, text: str) -> bool:
        return self.takes(text) or self._slashed.takes(text)


def compile_part(runs: Sequence[Run]) -> list[Pattern]:
    """What the segments of a path are compared with, one pattern after the other."""
    converters = [piece for run in runs for piece in run if not isinstance(piece, str)]
    takes_slashes = not all(converter.part_isolating for converter in converters)
    if takes_slashes and not all(map(is_werkzeugs, converters)):
        return [_WholePattern(runs)]
    return [_compile_run(run) for run in runs]


def _compile_run(run: Run) -> Pattern:
    crossing = [n for n, piece in enumerate(run) if not isinstance(piece, str) and not piece.part_isolating]
    if not crossing:
        return Pattern(run)
    return _PathPattern(run, crossing[0]) if len(crossing) == 1 else _SlashPattern(run)


def _is_valid(converter: BaseConverter, text: str) -> bool:
    try:
        converter.to_python(text)
    except ValidationError:
        return False
    except Exception:  # it may be anybody's
        log.exception("the converter %s of a rule broke; nobody is let in", type(converter).__name__)
        raise BadRequestError("The address is malformed.", reason="a rule's converter broke on it") from None
    return True
