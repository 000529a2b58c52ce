"""What stands between two slashes of a rule, compared with the segments of a path."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from math import comb
from typing import cast

from werkzeug.routing import (
    AnyConverter,
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    Map,
    UnicodeConverter,
    UUIDConverter,
    ValidationError,
)

from .errors import BadRequestError, ConfigurationError
from .rule_keys import Part, Run, is_werkzeugs

log = logging.getLogger("cognito_wsgi")


#: What a segment's length times the ways to share it out may come to: some hundredths of a second, for each of up to
#: ten spellings of a path.
MAX_STEPS = 10**7


class _Rest(BaseConverter):
    """What a path takes of the segment that it ends in."""

    regex = ".*?"


_REST = _Rest(Map())


def _is_endless(converter: BaseConverter) -> bool:
    """Whether it takes all that is left over, as long as that has no slash in it."""
    return converter is _REST or (type(converter) is UnicodeConverter and converter.regex.endswith(",}"))


def _ends_anywhere(converter: BaseConverter, text: str) -> bool:
    """Whether more than a place or two come into question for the text behind it."""
    if type(converter) in (IntegerConverter, FloatConverter):
        return text == "" or text[0].isdigit()
    if type(converter) is UnicodeConverter and "," not in converter.regex:
        return False  # its length is fixed
    return type(converter) not in (AnyConverter, UUIDConverter)


class _Turns:
    """Where the regular expression of several converters may turn back to try another way to share a text out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = Counter(texts)  # each behind a converter

    def are_in(self, text: str, times: int = 1) -> bool:
        """Whether they all stand in a text, or BadRequestError where it would take too long to try them.

        times: how often the text will be compared, or parts of it.
        """
        steps = (len(text) + 1) * times
        for each, number in self._texts.items():
            # They may overlap, and converters that take nothing may all turn at one of them.
            places = text.count(each) * max(len(each), 1)
            steps *= comb(places + number - 1, number)
        if steps > MAX_STEPS:
            raise BadRequestError(
                "The address is malformed.", reason="a rule's converters could share it out in too many ways"
            )
        return steps > 0


def _write(run: Run) -> tuple[str, list[str]]:
    """A run as a regular expression, and the texts at which that may turn back. Groups are called v and their place.

    Where what one converter leaves may as well be the next one's, the first place is as good as any, and the
    expression never turns back.
    """
    places = [place for place, piece in enumerate(run) if not isinstance(piece, str)]
    regex = re.escape(_join(run[: places[0]] if places else run))
    turns = []
    for place, following in zip_longest(places, places[1:]):
        converter, text = cast("BaseConverter", run[place]), _join(run[place + 1 : following])
        group, behind = f"(?P<v{place}>{converter.regex}", re.escape(text)
        if following is None:
            regex += f"{group}){behind}"
        elif _is_endless(converter) and _is_endless(cast("BaseConverter", run[following])):
            regex += f"(?>{group.removesuffix('?')}?){behind})"
        else:
            regex += f"{group}){behind}"
            if _ends_anywhere(converter, text):
                turns.append(text)
    return regex, turns


def _join(run: Run) -> str:
    return "".join(piece for piece in run if isinstance(piece, str))


class Pattern:
    """What stands between two slashes of a rule, for comparison with a segment of a path."""

    def __init__(self, run: Run) -> None:
        regex, turns = _write(run)
        try:
            self._fullmatch = re.compile(regex, re.DOTALL).fullmatch
        except re.error as error:
            raise ConfigurationError([f"the regular expression of its converter is wrong: {error}"]) from None
        self._turns = _Turns(turns)
        self._has_turns = bool(turns)
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
        if self._has_turns and not self._turns.are_in(text):
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
        self._first = Pattern(run[: number + 1])
        self._last = Pattern((_REST, *run[number + 1 :]))

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        second = min(self._first.find_ends(segments, starts), default=len(segments))
        later = range(second, len(segments))
        return super().find_ends(segments, starts) | self._last.find_ends(segments, set(later))


class _SlashPattern(Pattern):
    """The same with more than one path in it."""

    def find_ends(self, segments: list[str], starts: set[int]) -> set[int]:
        times = len(starts) * len(segments)
        return {end for start in starts for end in self._find_ends_from(start, segments, times)}

    def _find_ends_from(self, start: int, segments: list[str], times: int) -> Iterator[int]:
        text = "/".join(segments[start:])
        if not self._turns.are_in(text, times):
            return
        place = -1
        for end in range(start + 1, len(segments) + 1):
            place += len("/" + segments[end - 1])
            if self.takes(text[:place]) or (end < len(segments) and self._takes_slashed(text[: place + 1])):
                yield end

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
        self._slashed = Pattern((*run, "/"))

    @property
    def may_be_nothing(self) -> bool:
        return self._last.may_be_nothing

    def _takes_slashed(self, text: str) -> bool:
        return self.takes(text) or (not text.endswith("//") and self._slashed.takes(text))


def compile_part(part: Part) -> list[Pattern]:
    """What the segments of a path are compared with, one pattern after the other."""
    if part.takes_slashes and not all(isinstance(p, str) or is_werkzeugs(p) for p in chain(*part.runs)):
        return [_WholePattern(part.runs)]
    return [_compile_run(run) for run in part.runs]


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
