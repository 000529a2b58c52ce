"""The user pool's public keys, cached.

Keys are fetched when first needed, again in the background once older than an hour, and again for an unknown
``kid`` at most once in 30 seconds. An outage drops no good key for a day (design.md §8). One fetch runs at a
time, however many requests wait for it.
"""

from __future__ import annotations

import base64
import logging
import random
import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from .endpoints import Health, call, parse_json_object, unavailable
from .errors import CognitoError, ConfigurationError, UnknownKey
from .events import Events, KeysFetched, Outage
from .forks import run_in_forked_children

if TYPE_CHECKING:
    from .config import CognitoConfig

log = logging.getLogger("cognito_wsgi")

REFRESH_AFTER = 3600  # seconds
KEEP_FOR = 24 * 3600  # seconds without a good fetch
UNKNOWN_KID_INTERVAL = 30  # seconds between two fetches for unknown kids
#: Seconds by which a request may have begun before what serves it; if it is more, the clock was set back.
CLOCK_STEP = 300.0
RETRY_AFTER = 60  # seconds, about, between two background fetches that fail
MIN_KEY_BITS = 2048  # RFC 7518 §3.3
MAX_KID_LENGTH = 256

#: Of a key whose private half is published anybody may be the owner (RFC 7518 §6.3.2).
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{1,4096}={0,2}")


class PublicKey(NamedTuple):
    """An RSA signing key (RFC 7518 §6.3.1)."""

    kid: str
    n: int
    e: int


KeySet: TypeAlias = Mapping[str, PublicKey]


def parse_key_set(document: Mapping[str, Any]) -> KeySet:
    """The usable keys of a JWK set (RFC 7517 §5) by ``kid``. One that is broken spoils no other."""
    entries = document.get("keys")
    found: dict[str, PublicKey] = {}
    for entry in entries if isinstance(entries, list) else ():
        key = _parse_key(entry)
        if key is not None:
            found.setdefault(key.kid, key)
    return found


def _parse_key(entry: object) -> PublicKey | None:
    """A public RSA key for RS256 signatures of 2048 bits or more; None for anything else."""
    if not isinstance(entry, dict) or not _is_for_rs256(entry) or not _PRIVATE_MEMBERS.isdisjoint(entry):
        return None
    kid, n, e = entry.get("kid"), _parse_number(entry.get("n")), _parse_number(entry.get("e"))
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH or n is None or e is None:
        return None
    # More bits, or a larger exponent, and one signature would take seconds to check.
    if not MIN_KEY_BITS <= n.bit_length() <= 16384 or not 3 <= e < 2**256 or n % 2 == 0 or e % 2 == 0:
        return None
    return PublicKey(kid, n, e)


def _is_for_rs256(entry: Mapping[str, Any]) -> bool:
    """What a key says of its own use (RFC 7517 §4.2 to §4.4); it may say nothing."""
    key_ops = entry.get("key_ops", ["verify"])
    return (
        entry.get("kty") == "RSA"
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", "RS256") == "RS256"
        and isinstance(key_ops, list)
        and "verify" in key_ops
    )


def _parse_number(text: object) -> int | None:
    """A Base64urlUInt (RFC 7518 §2); padding and leading zeros, which some write, change nothing."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        return None
    digits = text.rstrip("=")
    try:
        return int.from_bytes(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)), "big")
    except ValueError:
        return None


class KeyStore:
    """The keys of one pool, shared by all threads of a process.

    The set in use is replaced as a whole, so that readers need no lock.
    """

    def __init__(self, config: CognitoConfig, events: Events | None = None) -> None:
        self._events = events or Events()
        self._url = config.jwks_url
        self._timeout = config.timeout
        self.is_fixed = config.jwks is not None
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        #: When somebody has to look at the age of the keys again; until then the warm path asks no more.
        self._look_at = 0.0
        self._unknown_kid_at = float("-inf")
        self._health = Health()
        self._start_afresh()
        if config.jwks is not None:
            self._keys = self._parse_fixed(config.jwks)
            self._look_at = float("inf")
        run_in_forked_children(self, type(self)._start_afresh)

    def _start_afresh(self) -> None:
        """Locks and threads of a parent process mean nothing in a forked child."""
        self._lock = threading.Lock()
        self._under_way: threading.Event | None = None  # set when the fetch has ended

    @staticmethod
    def _parse_fixed(document: Mapping[str, Any]) -> KeySet:
        keys = parse_key_set(document)
        if not keys:
            raise ConfigurationError(
                [
                    "AWS_COGNITO_JWKS (jwks): found no usable key; expected public RSA signing keys of "
                    f"{MIN_KEY_BITS} bits or more, each with kid, n and e"
                ]
            )
        return keys

    def current(self, now: float) -> KeySet | None:
        """The keys that may be used now, without waiting; None if there are none. Old ones are renewed aside."""
        if self._fetched_at - CLOCK_STEP < now < self._look_at:
            return self._keys
        return self._look_after(now)

    def _is_fresh(self, now: float) -> bool:
        return self._fetched_at - CLOCK_STEP < now < self._look_at

    def find(self, kid: str, now: float, *, wait: bool) -> PublicKey:
        """The key named ``kid``.

        wait: whether the caller may wait for Cognito; if not, what is missing is fetched in the background.

        Raises UnknownKey if the pool has no such key, CognitoError if that cannot be told.
        """
        keys = self.current(now)
        if keys is None:
            keys = self._first_keys(wait=wait)
        elif kid not in keys and not self.is_fixed:
            keys = self._newest_keys(now, wait=wait)
        if kid not in keys:
            raise UnknownKey("kid is unknown")
        return keys[kid]

    def require(self, now: float) -> None:
        """Raises CognitoError if there are no keys and none are to be had."""
        if self.current(now) is None:
            self._first_keys(wait=True)

    def _look_after(self, now: float) -> KeySet | None:
        with self._lock:
            if self._keys is None or self._is_fresh(now):  # somebody else was here in between
                return self._keys
            self._fetched_at = min(self._fetched_at, now)  # a clock that was set back would keep them young
            if now - self._fetched_at >= KEEP_FOR:
                log.error("the user pool's keys are older than a day and could not be renewed; dropping them")
                self._keys = None
                return None
            pause = RETRY_AFTER * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load over a fleet, guards nothing
            self._look_at = min(now + pause, self._fetched_at + KEEP_FOR)
            self._begin_fetch()
            return self._keys

    def _first_keys(self, *, wait: bool) -> KeySet:
        """The keys of a process that has none."""
        with self._lock:
            fetch = self._begin_fetch()
        if not wait:
            raise unavailable("no keys yet; they are being fetched")
        return self._keys_of(fetch)

    def _newest_keys(self, now: float, *, wait: bool) -> KeySet:
        """The keys of a pool that may have got a new one."""
        with self._lock:
            fetch = self._under_way
            # (A request may have begun a little before the one that began the last such fetch.)
            if fetch is None and not -CLOCK_STEP < now - self._unknown_kid_at < UNKNOWN_KID_INTERVAL:
                self._unknown_kid_at = now
                fetch = self._begin_fetch()
        if fetch is not None and wait:
            return self._keys_of(fetch)
        if self._health.failure is not None:
            raise unavailable("kid is unknown, and the key set could not be fetched a moment ago")
        return self._keys or {}

    def _begin_fetch(self) -> threading.Event:
        """A fetch in the background, or the one that is under way. With the lock held."""
        if self._under_way is not None:
            return self._under_way
        done = threading.Event()
        thread = threading.Thread(target=self._fetch, args=(done,), name="cognito_wsgi keys", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread to give
            self._health.failure = "no thread can be had to fetch the keys"
            done.set()
        else:
            self._under_way = done
        return done

    def _keys_of(self, fetch: threading.Event) -> KeySet:
        """What a fetch brings. Raises CognitoError, one for each caller: it ends up in his answer."""
        with self._health.waiting():
            if not fetch.wait(self._timeout + 5):  # what it calls is over by then
                raise unavailable("the fetch of the keys did not end")
        keys, failure = self._keys, self._health.failure
        if keys is None or failure is not None:
            raise unavailable(failure or "there are no keys")
        return keys

    def _fetch(self, done: threading.Event) -> None:
        started = time.time()
        try:
            keys = self._download()
        except CognitoError as error:
            now = time.time()
            self._health.failure = error.reason
            self._events.emit(Outage(endpoint="jwks", reason=error.reason, seconds=now - started))
        else:
            now = time.time()
            self._adopt(keys, now)
            self._events.emit(KeysFetched(keys=len(keys), seconds=now - started))
        finally:
            with self._lock:
                self._under_way = None
            done.set()

    def _adopt(self, keys: KeySet, now: float) -> None:
        with self._lock:
            if keys != self._keys:  # else sessions would look again at what they have seen
                self._keys = keys
            self._fetched_at = now
            self._look_at = now + REFRESH_AFTER
        self._health.failure = None

    def _download(self) -> KeySet:
        host = urlsplit(self._url).netloc
        answer = call("GET", self._url, timeout=self._timeout)
        document = parse_json_object(answer.body) if answer.status == 200 else None
        if document is None:
            raise unavailable(f"{host} answered with status {answer.status} and no JSON object")
        keys = parse_key_set(document)
        if not keys:
            raise unavailable(f"{host} answered with no usable key")
        return keys
