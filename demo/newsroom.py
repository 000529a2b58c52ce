"""What the newspaper knows: its articles and the wire, in memory, behind one lock.

Nothing is kept when the process ends, and two processes would be two newspapers: ``gunicorn.conf.py``
therefore starts one worker with several threads.
"""

from __future__ import annotations

import itertools
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SECTIONS = {"harbour": "Harbour", "town": "Town", "culture": "Culture", "weather": "Weather"}

ARTICLES_KEPT = 200
WIRE_LINES_KEPT = 40
WIRE_LINE_LENGTH = 140  # characters

#: Longest and shortest text of each field, in characters.
LIMITS = {"headline": (4, 110), "standfirst": (0, 240), "body": (20, 8000)}


class InvalidText(ValueError):
    """What a writer sent cannot be printed; ``problems`` has a sentence for each field at fault."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(problems.values()))


@dataclass(frozen=True)
class Draft:
    headline: str
    standfirst: str
    body: str
    section: str


@dataclass(frozen=True)
class Article(Draft):
    number: int
    author: str
    published: datetime

    @property
    def section_name(self) -> str:
        return SECTIONS[self.section]

    @property
    def paragraphs(self) -> list[str]:
        return [text.strip() for text in self.body.split("\n\n") if text.strip()]


@dataclass(frozen=True)
class WireLine:
    number: int
    text: str
    source: str
    sent: datetime


def parse_draft(form: Mapping[str, str]) -> Draft:
    """The draft in a form or a JSON object, or InvalidText naming every field at fault."""
    problems = {}
    fields = {}
    for name, (shortest, longest) in LIMITS.items():
        fields[name] = text = clean(form.get(name, ""))
        if not shortest <= len(text) <= longest:
            problems[name] = f"This needs {shortest} to {longest} characters and has {len(text)}."
        elif has_control_characters(text, allowed="\n" if name == "body" else ""):
            problems[name] = "This holds characters that cannot be printed."
    section = form.get("section", "")
    if section not in SECTIONS:
        problems["section"] = "Choose a section."
    if problems:
        raise InvalidText(problems)
    return Draft(**fields, section=section)


def parse_wire_line(message: object) -> str:
    """The text in ``{"text": "…"}``, or InvalidText."""
    text = clean(message.get("text") if isinstance(message, dict) else None)
    if not 1 <= len(text) <= WIRE_LINE_LENGTH or has_control_characters(text):
        raise InvalidText({"text": f"Send an object with a text of 1 to {WIRE_LINE_LENGTH} characters."})
    return text


def clean(text: object) -> str:
    return text.replace("\r\n", "\n").strip() if isinstance(text, str) else ""


def has_control_characters(text: str, allowed: str = "") -> bool:
    return any(unicodedata.category(sign) in ("Cc", "Cs") and sign not in allowed for sign in text)


class Newsroom:
    """The articles and the wire. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._articles: dict[int, Article] = {}
        self._article_numbers = itertools.count(1)
        self._lead: int | None = None
        self._wire: deque[WireLine] = deque(maxlen=WIRE_LINES_KEPT)
        self._wire_numbers = itertools.count(1)
        self._agency = itertools.cycle(AGENCY_LINES)
        now = datetime.now(UTC)
        for hours, author, draft in reversed(FIRST_EDITION):
            self._add(draft, author, now - timedelta(hours=hours))
        self._lead = max(self._articles)
        for _ in range(3):
            self._file_agency_line()

    def articles(self, section: str | None = None) -> list[Article]:
        """Newest first; all of them where ``section`` is none of ours."""
        with self._changed:
            newest_first = list(reversed(self._articles.values()))
        if section not in SECTIONS:
            return newest_first
        return [article for article in newest_first if article.section == section]

    def find_article(self, number: int) -> Article | None:
        with self._changed:
            return self._articles.get(number)

    def find_lead(self) -> Article | None:
        """The article chosen to open the front page, else the newest."""
        with self._changed:
            chosen = self._articles.get(self._lead) if self._lead else None
            return chosen or next(reversed(self._articles.values()), None)

    def choose_lead(self, number: int) -> bool:
        """Whether there is such an article."""
        with self._changed:
            if number not in self._articles:
                return False
            self._lead = number
            return True

    def publish(self, draft: Draft, author: str) -> Article:
        article = self._add(draft, author, datetime.now(UTC))
        self.send(f"New in {article.section_name}: {article.headline}", author)
        return article

    def withdraw(self, number: int) -> bool:
        """Whether there was such an article."""
        with self._changed:
            return self._articles.pop(number, None) is not None

    def send(self, text: str, source: str) -> WireLine:
        with self._changed:
            line = WireLine(next(self._wire_numbers), text, source, datetime.now(UTC))
            self._wire.append(line)
            self._changed.notify_all()
            return line

    def wire(self, count: int = WIRE_LINES_KEPT) -> list[WireLine]:
        """Newest first."""
        with self._changed:
            return list(reversed(self._wire))[:count]

    def follow_wire(self, seconds: float, quiet: float) -> Iterator[WireLine]:
        """The lines of the wire, oldest first, then each new one as it comes, for so many seconds.

        When nothing has come for ``quiet`` seconds, our agency files a line.
        """
        end = time.monotonic() + seconds
        last = 0
        while (left := end - time.monotonic()) > 0:
            fresh = self._wait_for_lines(after=last, timeout=min(quiet, left))
            if not fresh and left > quiet:
                fresh = [self._file_agency_line()]
            for line in fresh:
                yield line
                last = line.number

    def _wait_for_lines(self, *, after: int, timeout: float) -> list[WireLine]:
        with self._changed:
            self._changed.wait_for(lambda: self._wire and self._wire[-1].number > after, timeout)
            return [line for line in self._wire if line.number > after]

    def _file_agency_line(self) -> WireLine:
        with self._changed:
            return self.send(next(self._agency), "Agency")

    def _add(self, draft: Draft, author: str, published: datetime) -> Article:
        with self._changed:
            number = next(self._article_numbers)
            self._articles[number] = article = Article(
                **vars(draft), number=number, author=author, published=published
            )
            while len(self._articles) > ARTICLES_KEPT:
                self._articles.pop(next(iter(self._articles)))
            return article


AGENCY_LINES = (
    "Pilot boat Greta back in service after refit",
    "Lock 2: barge traffic resumes, waiting time 40 minutes",
    "Fish auction: 11 tonnes of herring, price steady",
    "Council publishes minutes on quay lighting",
    "Tide gauge reads 3.4 m at Customs Steps",
    "Night bus 7 diverted around Rope Walk until Friday",
    "Concert hall: returns for Saturday on sale at the door",
    "Harbour master: no restrictions on the outer moorings",
    "Library extends Sunday hours for the exam weeks",
    "Wind south-west 4, veering west later; good visibility",
)

#: (age in hours, author, draft), newest first.
FIRST_EDITION = (
    (
        2,
        "Ines Albrecht",
        Draft(
            "The last wooden ferry sails again",
            "After nine winters on the slip, the Margarethe crossed the harbour on Saturday with two "
            "hundred passengers and one very nervous shipwright.",
            "At seven minutes past ten the bridge lifted, and a ship that had been written off twice "
            "moved under her own power for the first time since the flood.\n\n"
            "“You listen for the pump,” said Jonas Reimer, who led the restoration. “If you hear it "
            "start, you stop breathing.” It did not start. The hull, a third of it new oak, took in less "
            "than a bucket on the whole crossing.\n\n"
            "The Margarethe will run on weekends until October. The fare is the one painted on her "
            "wheelhouse in 1931, plus a donation, which nobody on Saturday left out.",
            "harbour",
        ),
    ),
    (
        5,
        "Tomasz Wrona",
        Draft(
            "Market hall gets its clock back",
            "The hands had pointed to twenty past four since the war. From Monday they will move.",
            "The works were found in a shed behind the tram depot, wrapped in a newspaper of this "
            "house.\n\n"
            "Two apprentices of the technical school cleaned each of its 312 parts. What was missing "
            "they cut anew, and what they did not understand they drew until they did.\n\n"
            "It will strike the hours, though not at night.",
            "town",
        ),
    ),
    (
        9,
        "Leila Haddad",
        Draft(
            "A choir that meets in the dry dock",
            "The acoustics are an accident, the queue on Thursdays is not.",
            "Eleven seconds: so long does a note stand in the empty dock before the stone lets it "
            "go.\n\n"
            "The shipyard choir began with six welders and a tuning fork. It now has ninety voices, and "
            "a timetable that it shares with the shipyard.",
            "culture",
        ),
    ),
    (
        14,
        "Tomasz Wrona",
        Draft(
            "Rope Walk to close for new water mains",
            "Buses go round by the customs house; bakers promise to stay open.",
            "Work begins on the harbour end and moves inland, forty metres a week.\n\n"
            "Residents keep access on foot. Deliveries are asked to come before nine.",
            "town",
        ),
    ),
    (
        20,
        "Ines Albrecht",
        Draft(
            "Fog until noon, then a light wind from the west",
            "A quiet week on the water, says the harbour office.",
            "Pilots expect visibility below two hundred metres until late morning on most days.\n\n"
            "Small craft are asked to keep clear of the fairway and to sound their signals.",
            "weather",
        ),
    ),
)
