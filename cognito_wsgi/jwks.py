"""The user pool's public keys, cached.

Keys are fetched when first needed, again in the background once older than an hour, and again for an unknown
``kid`` at most once in 30 seconds. An outage drops no good key for a day (design.md §8). One fetch runs at a
time, however many requests wait for it.
"""

from __future__ import annotations

import base64
import binascii
import logging
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from .endpoints import call, parse_json_object, unavailable
from .errors import CognitoError, ConfigurationError, UnknownKey
from .events import Events, KeysFetched, Outage
from .forks import run_in_forked_children

if TYPE_CHECKING:
    from .config import CognitoConfig

log = logging.getLogger("cognito_wsgi")

REFRESH_AFTER = 3600  # seconds
KEEP_FOR = 24 * 3600  # seconds without a good fetch
UNKNOWN_KID_INTERVAL = 30  # seconds between two fetches for unknown kids
RETRY_AFTER = 60  # seconds, about, between two background fetches that fail
MIN_KEY_BITS = 2048  # RFC 7518 §3.3
MAX_KID_LENGTH = 256


class PublicKey(NamedTuple):
    """An RSA signing key (RFC 7518 §6.3.1): ``n`` and ``e`` as canonical base64url texts."""

    kid: str
    n: str
    e: str


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
    """An RSA key for RS256 signatures of 2048 bits or more; None for anything else."""
    if not isinstance(entry, dict) or entry.get("kty") != "RSA":
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", "RS256") != "RS256":
        return None
    key_ops = entry.get("key_ops", ["verify"])
    if not isinstance(key_ops, list) or "verify" not in key_ops:
        return None
    kid, n, e = entry.get("kid"), entry.get("n"), entry.get("e")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH:
        return None
    modulus, exponent = _parse_number(n), _parse_number(e)
    if modulus is None or exponent is None or modulus.bit_length() < MIN_KEY_BITS or modulus % 2 == 0:
        return None
    if modulus.bit_length() > 16384 or exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 256:
        return None  # no RSA key, or one whose check would take seconds
    return PublicKey(kid, _number_text(modulus), _number_text(exponent))


def _parse_number(text: object) -> int | None:
    if not isinstance(text, str) or not text.isascii() or len(text) > 4096:
        return None
    try:
        return int.from_bytes(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True), "big"
        )
    except (binascii.Error, ValueError):
        return None


def _number_text(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class KeyStore:
    """The keys of one pool, shared by all threads of a process.

    The set in use is replaced as a whole, so that readers need no lock.
    """

    def __init__(self, config: CognitoConfig, events: Events | None = None) -> None:
        self._events = events or Events()
        self._url = config.jwks_url
        self._timeout = config.timeout
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        #: When somebody has to look at the age of the keys again; until then the warm path asks no more.
        self._look_at = 0.0
        self._unknown_kid_at = float("-inf")
        self._unknown_kid_failed = False
        self._pause_until = 0.0
        self._start_afresh()
        if config.jwks is not None:
            self._keys = self._parse_fixed(config.jwks)
            self._look_at = float("inf")
        run_in_forked_children(self._start_afresh)

    def _start_afresh(self) -> None:
        """Locks and threads of a parent process mean nothing in a forked child."""
        self._lock = threading.Lock()
        self._under_way: Future[KeySet] | None = None

    @staticmethod
    def _parse_fixed(document: Mapping[str, Any]) -> KeySet:
        keys = parse_key_set(document)
        if not keys:
            raise ConfigurationError(
                [
                    "AWS_COGNITO_JWKS (jwks): found no usable key; expected RSA signing keys of "
                    f"{MIN_KEY_BITS} bits or more, each with kid, n and e"
                ]
            )
        return keys

    @property
    def is_fixed(self) -> bool:
        return self._look_at == float("inf")

    def current(self, now: float) -> KeySet | None:
        """The keys that may be used now, without waiting; None if there are none. Old ones are renewed aside."""
        if now < self._look_at:
            return self._keys
        return self._look_after(now)

    def find(self, kid: str, now: float, *, wait: bool) -> PublicKey:
        """The key named ``kid``.

        wait: whether the caller may wait for Cognito; if not, what is missing is fetched in the background.

        Raises UnknownKey if the pool has no such key, CognitoError if that cannot be told.
        """
        keys = self.current(now)
        if keys is None:
            if not wait:
                self._fetch_aside()
                raise unavailable("no keys yet; they are being fetched")
            keys = self._first_keys(now)
            if kid not in keys:
                raise UnknownKey("kid is unknown")
        if kid in keys:
            return keys[kid]
        if self.is_fixed:
            raise UnknownKey("kid is unknown")
        return self._find_unknown(kid, now, wait=wait)

    def _look_after(self, now: float) -> KeySet | None:
        keys = self._keys
        if keys is None:
            return None
        if now - self._fetched_at >= KEEP_FOR:
            log.error(
                "the keys of the user pool are older than a day and could not be renewed; dropping them"
            )
            self._keys = None
            return None
        self._look_at = self._next_try(now)
        self._fetch_aside()
        return keys

    def _next_try(self, now: float) -> float:
        pause = RETRY_AFTER * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load over a fleet, guards nothing
        return min(now + pause, self._fetched_at + KEEP_FOR)

    def _first_keys(self, now: float) -> KeySet:
        if now < self._pause_until <= now + 60 and self._under_way is None:
            raise unavailable("the key set could not be fetched a moment ago")
        try:
            return self._fetch()
        except CognitoError:
            ended = time.time()
            # A slow failure buys as long a pause, so that not every request waits in vain.
            self._pause_until = (
                ended + max(0.0, min(ended - now, self._timeout)) if ended - now > 0.5 else 0.0
            )
            raise

    def _find_unknown(self, kid: str, now: float, *, wait: bool) -> PublicKey:
        with self._lock:
            due = not 0 <= now - self._unknown_kid_at < UNKNOWN_KID_INTERVAL
            if due:
                self._unknown_kid_at = now
            under_way = self._under_way is not None
        if due or under_way:
            if not wait:
                self._fetch_aside()
                raise UnknownKey("kid is unknown so far; the keys are being fetched")
            try:
                keys = self._fetch()
            except CognitoError:
                self._unknown_kid_failed = True
                raise
            self._unknown_kid_failed = False
        else:
            keys = self._keys or {}
        if kid in keys:
            return keys[kid]
        if self._unknown_kid_failed:
            raise unavailable("kid is unknown, and the key set could not be fetched a moment ago")
        raise UnknownKey("kid is unknown")

    def _fetch_aside(self) -> None:
        if self._under_way is None and not self.is_fixed:
            threading.Thread(target=self._fetch_quietly, name="cognito_wsgi keys", daemon=True).start()

    def _fetch_quietly(self) -> None:
        try:
            self._fetch()
        except CognitoError:
            return  # logged where it happened; the next look tries again

    def _fetch(self) -> KeySet:
        """Fetch the keys, or wait for the fetch that is under way. Raises CognitoError."""
        with self._lock:
            future = self._under_way
            if mine := future is None:
                future = self._under_way = Future()
        assert future is not None  # noqa: S101 - for the type checker
        if mine:
            try:
                future.set_result(self._fetch_now())
            except BaseException as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    self._under_way = None
        try:
            return future.result(timeout=2 * self._timeout)
        except TimeoutError:
            raise unavailable("the fetch of the keys did not end") from None

    def _fetch_now(self) -> KeySet:
        started = time.time()
        try:
            keys = self._download()
        except CognitoError as error:
            self._events.emit(Outage(endpoint="jwks", reason=error.reason, seconds=time.time() - started))
            raise
        now = time.time()
        if keys != self._keys:
            self._keys = keys
        self._fetched_at = now
        self._look_at = now + REFRESH_AFTER
        self._events.emit(KeysFetched(keys=len(keys), seconds=now - started))
        return self._keys or keys

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
