"""Everything that an operator may set, checked once and frozen.

A `CognitoConfig` that exists is complete and consistent: no other module checks a setting, and none
reads ``os.environ`` or ``app.config``. This module does no I/O; whether Cognito agrees with the settings
shows at the first sign-in, and whether the keys in ``jwks`` are usable is for `cognito_wsgi.jwks` to say.

To add a setting, add a field: its metadata names the key, the function that parses its value, and
whether it is a secret. What two settings must agree on stands in the table at the end.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property, partial
from itertools import combinations
from typing import Any, Literal, cast
from urllib.parse import SplitResult, unquote, urlsplit

from cognito_wsgi.errors import ConfigurationError

MIN_SECRET_BYTES = 16
MAX_AGE_SECONDS = 10 * 365 * 24 * 3600
MAX_LEEWAY_SECONDS = 600
MAX_TIMEOUT_SECONDS = 60
MAX_URL_LENGTH = 1024  # what Cognito takes for a callback URL (RedirectUrlType)
MAX_CLIENT_ID_LENGTH = 128  # ClientIdType
MAX_USER_POOL_ID_LENGTH = 55  # UserPoolIdType

_PREFIX = "AWS_COGNITO_"  # keys that begin so are ours: an unknown one is a mistake
_SHOWN_LENGTH = 80
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FLAGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}

_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{1,16})+-[0-9]{1,2}")
_USER_POOL_ID = re.compile(r"[\w-]+_[0-9A-Za-z]+", re.ASCII)
_VISIBLE_ASCII = re.compile(r"[!-~]+")
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")  # RFC 6749 §3.3
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")  # RFC 3986 §2
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_DOMAIN_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+{_LABEL}")
# A host whose last label is a number is an IPv4 address to a browser, however odd (WHATWG URL §3.5).
_NUMBER_AT_THE_END = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")


class _Unfit(Exception):
    """A value cannot be used. The text says what is expected; ``found`` is the part of it that is wrong."""

    def __init__(self, expected: str, found: object = MISSING) -> None:
        super().__init__(expected)
        self.found = found


def _parse_text(value: object, pattern: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _Unfit(expected)
    return value


def _parse_region(value: object) -> str:
    return _parse_text(value, _REGION, "the name of an AWS region such as 'eu-west-1'")


def _parse_user_pool_id(value: object) -> str:
    expected = (
        "the id of a user pool, its region, '_' and letters or digits as in 'eu-west-1_AbCdEf123', "
        f"in {MAX_USER_POOL_ID_LENGTH} characters at most"
    )
    text = _parse_text(value, _USER_POOL_ID, expected)
    if len(text) > MAX_USER_POOL_ID_LENGTH:
        raise _Unfit(expected)
    return text


def _parse_client_id(value: object) -> str:
    expected = (
        "the id of an app client: visible ASCII characters without spaces, "
        f"{MAX_CLIENT_ID_LENGTH} at most (a text, in quotes if it has only digits)"
    )
    text = _parse_text(value, _VISIBLE_ASCII, expected)
    if len(text) > MAX_CLIENT_ID_LENGTH:
        raise _Unfit(expected)
    return text


def _parse_client_secret(value: object) -> str:
    return _parse_text(
        value,
        _VISIBLE_ASCII,
        "the secret of the app client, visible ASCII characters without spaces, or nothing for a public client",
    )


def _parse_secret_key(value: object) -> str | bytes:
    expected = f"a random text or bytes of {MIN_SECRET_BYTES} bytes or more (in UTF-8)"
    if not isinstance(value, str | bytes):
        raise _Unfit(expected)
    try:
        key = _to_bytes(value)
    except UnicodeEncodeError:  # bytes of the process environment that are not UTF-8 (PEP 383)
        raise _Unfit(expected + ", and text that is valid UTF-8") from None
    if len(key) < MIN_SECRET_BYTES:
        raise _Unfit(expected)
    return value


def _parse_list(value: object, parse_item: Callable[[object], Any], expected: str) -> tuple[Any, ...]:
    """Return the items, each parsed, without repetitions; one home for how lists are written."""
    if isinstance(value, str):
        items: list[object] = [item for item in re.split(r"[\s,]+", value) if item]
        if not items:
            raise _Unfit(expected)
    elif isinstance(value, list | tuple):
        items = list(value)
    else:
        raise _Unfit(expected)
    parsed: dict[Any, None] = {}  # a set that keeps the order
    for item in items:
        try:
            parsed[parse_item(item)] = None
        except _Unfit as unfit:
            raise _Unfit(f"{expected}, each {unfit}", item) from None
    return tuple(parsed)


def _parse_secret_keys(value: object) -> tuple[str | bytes, ...]:
    return _parse_list(value, _parse_secret_key, "a list of earlier keys")


def _parse_scope(value: object) -> str:
    return _parse_text(value, _SCOPE_TOKEN, 'of visible ASCII characters but " and \\ (RFC 6749)')


def _parse_scopes(value: object) -> tuple[str, ...]:
    expected = "a list of one or more scopes, or nothing for all that the app client allows"
    scopes = _parse_list(value, _parse_scope, expected)
    if not scopes:
        raise _Unfit(expected)
    return scopes


def _parse_client_ids(value: object) -> tuple[str, ...]:
    return _parse_list(value, _parse_client_id, "a list of app clients")


def _parse_flag(value: object) -> bool:
    if isinstance(value, int) and value in (0, 1):  # bool is an int
        return bool(value)
    if isinstance(value, str) and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    raise _Unfit("true or false (or yes/no, on/off, 1/0)")


def _parse_whole_number(value: object, least: int, most: int) -> int:
    expected = f"a whole number of seconds from {least} to {most}"
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _Unfit(expected)
    return value


_parse_age = partial(_parse_whole_number, least=1, most=MAX_AGE_SECONDS)
_parse_leeway = partial(_parse_whole_number, least=0, most=MAX_LEEWAY_SECONDS)


def _parse_timeout(value: object) -> float:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        value = float(value)
    # NaN is not greater than 0, and infinity not small enough.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= MAX_TIMEOUT_SECONDS:
        raise _Unfit(f"a number of seconds greater than 0, at most {MAX_TIMEOUT_SECONDS}")
    return float(value)


def _parse_samesite(value: object) -> str:
    name = value.capitalize() if isinstance(value, str) else value
    if name not in ("Lax", "Strict", "None"):
        raise _Unfit("'Lax', 'Strict' or 'None'")
    return name


def _parse_cookie_domain(value: object) -> str:
    expected = "a domain name such as 'example.com', or nothing for cookies of this host alone"
    if not isinstance(value, str):
        raise _Unfit(expected)
    domain = value.lower().removeprefix(".")  # RFC 6265 §5.2.3 ignores the dot
    if not _DOMAIN_NAME.fullmatch(domain) or _NUMBER_AT_THE_END.fullmatch(domain):
        raise _Unfit(expected)
    return domain


def _parse_key_set(value: object) -> dict[str, object]:
    """Return a copy of our own, made of JSON's types alone."""
    expected = 'a JSON Web Key Set, {"keys": [{…}, …]} with one key or more, as a dict or JSON text'
    if not isinstance(value, dict | str):
        raise _Unfit(expected)
    try:
        key_set = json.loads(value if isinstance(value, str) else json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise _Unfit(expected) from None
    keys = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise _Unfit(expected)
    return cast(dict[str, object], key_set)


def _is_unambiguous(path: str) -> bool:
    """Whether the gateway would let a request for this decoded path through to be judged (design §4)."""
    return (
        path.startswith("/")
        and "//" not in path
        and "\\" not in path
        and path.isprintable()  # no control characters
        and not {".", ".."} & set(path.split("/"))
    )


def _parse_path(value: object) -> str:
    if (
        not isinstance(value, str)
        or not _is_unambiguous(value)
        or value.endswith("/")
        or set(value) & set("?#<>% ")
    ):
        raise _Unfit(
            "a path such as '/login': it begins with '/', does not end with one, and has no '//', '.' or '..' "
            "segments, spaces, control characters, and none of \\ ? # < > %"
        )
    return value


def _parse_url(value: object) -> str:
    """Return the URL as it came, if it is one that we and every browser read the same way."""
    if not isinstance(value, str) or not value:
        raise _Unfit("an absolute URL beginning with https://")
    if len(value) > MAX_URL_LENGTH:
        raise _Unfit(f"a URL of at most {MAX_URL_LENGTH} characters")
    if not value.isascii():
        raise _Unfit(
            "a URL in ASCII: write a host name in punycode (xn--…) and percent-encode other characters (%C3%A4)"
        )
    if not _URL_CHARACTERS.fullmatch(value) or _BAD_PERCENT.search(value):
        raise _Unfit(
            "a URL without spaces, control characters, backslashes and others that RFC 3986 does not allow: "
            "percent-encode them (%20)"
        )
    if "://" not in value:
        raise _Unfit("an absolute URL: write https:// in front of it")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # unbalanced brackets, or no such port
        raise _Unfit("a URL with a valid host, and a port from 1 to 65535 if any") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _Unfit("a URL beginning with https://")
    if "@" in parts.netloc:
        raise _Unfit("a URL without a user name or password")
    if "#" in value:
        raise _Unfit("a URL without a fragment (#…)")
    if port == 0 or parts.netloc.endswith(":"):
        raise _Unfit("a URL whose port, if any, is a number from 1 to 65535")
    if not _is_host(parts):
        raise _Unfit("a URL with a valid host name, IPv4 address or [IPv6 address]")
    if parts.scheme == "http" and not _is_loopback(_host_of(value)):
        raise _Unfit("a URL beginning with https:// (http:// only for 127.0.0.0/8, [::1] and localhost)")
    return value


def _parse_ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    address = _parse_ip_address(host)
    if "[" in parts.netloc:
        # Zones never leave the machine; mapped IPv4 addresses have two spellings.
        return isinstance(address, ipaddress.IPv6Address) and not (address.scope_id or address.ipv4_mapped)
    return address is not None or bool(_HOST_NAME.fullmatch(host) and not _NUMBER_AT_THE_END.fullmatch(host))


def _is_loopback(host: str) -> bool:
    address = _parse_ip_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _host_of(url: str) -> str:
    """Return the lower-case host of a URL that `_parse_url` has taken, without port and brackets."""
    return urlsplit(url).hostname or ""


def _origin_of(url: str) -> str:
    """Return the origin as browsers send it (RFC 6454 §6.2) of a URL that `_parse_url` has taken."""
    parts = urlsplit(url)
    host = _host_of(url)
    if ":" in host:
        host = f"[{ipaddress.IPv6Address(host)}]"
    if parts.port in (None, _DEFAULT_PORTS[parts.scheme]):
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{parts.port}"


def _path_of(url: str) -> str:
    """Return the path as WSGI's PATH_INFO would have it: percent-decoded, and '/' where there is none."""
    return unquote(urlsplit(url).path) or "/"


def _parse_origin(value: object) -> str:
    url = _parse_url(value)
    parts = urlsplit(url)
    if parts.path not in ("", "/") or "?" in url:
        raise _Unfit(f"an origin: scheme, host and port alone, as in '{_origin_of(url)}'")
    return _origin_of(url)


def _parse_origins(value: object) -> tuple[str, ...]:
    return _parse_list(value, _parse_origin, "a list of origins such as 'https://www.example.com'")


def _parse_redirect_url(value: object) -> str:
    url = _parse_url(value)
    if _path_of(url) == "/":
        raise _Unfit("a URL with a path of its own for the callback, as in https://app.example.com/callback")
    if not _has_usable_path(url):
        raise _Unfit(
            "a URL whose path is UTF-8 without '//', '.' or '..' segments, '\\' and control characters"
        )
    return url


def _has_usable_path(url: str) -> bool:
    try:
        return _is_unambiguous(unquote(urlsplit(url).path, errors="strict") or "/")
    except UnicodeDecodeError:
        return False


def _parse_issuer(value: object) -> str:
    url = _parse_url(value)
    if url.endswith("/") or "?" in url:
        raise _Unfit("a URL without a query or a trailing slash, exactly as in the tokens' 'iss'")
    return url


def _to_bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _setting(key: str, parse: Callable[[object], Any], *, secret: bool = False) -> dict[str, Any]:
    return {"key": key, "parse": parse, "secret": secret}


@dataclass(frozen=True, kw_only=True)
class CognitoConfig:
    """Settings of a gateway: complete, consistent and normalised from birth, and never changed.

    Made directly, by `from_mapping` or by `from_env`; the checks are the same, and so are the values that
    are understood: real types, or text as in the process environment. None means not set. Raises
    `ConfigurationError` with all the problems at once, each naming its key.

    ``dataclasses.replace`` keeps ``issuer`` and ``jwks_url`` even where they were derived: for another
    pool name them too.
    """

    region: str = field(metadata=_setting("AWS_REGION", _parse_region))
    user_pool_id: str = field(metadata=_setting("AWS_COGNITO_USER_POOL_ID", _parse_user_pool_id))
    #: Origin of the hosted sign-in pages, "https://…" without a trailing slash.
    domain: str = field(metadata=_setting("AWS_COGNITO_DOMAIN", _parse_origin))
    client_id: str = field(metadata=_setting("AWS_COGNITO_USER_POOL_CLIENT_ID", _parse_client_id))
    #: None for a public client, one without a secret.
    client_secret: str | None = field(
        default=None,
        repr=False,
        metadata=_setting("AWS_COGNITO_USER_POOL_CLIENT_SECRET", _parse_client_secret, secret=True),
    )
    #: Its path is the callback path, its origin the public origin of the site.
    redirect_url: str = field(metadata=_setting("AWS_COGNITO_REDIRECT_URL", _parse_redirect_url))
    #: Where Cognito sends the browser after sign-out.
    logout_url: str = field(metadata=_setting("AWS_COGNITO_LOGOUT_URL", _parse_url))
    #: As it was given; `secret_keys` has the bytes.
    secret_key: str | bytes = field(
        repr=False, metadata=_setting("SECRET_KEY", _parse_secret_key, secret=True)
    )
    #: Keys of the past, accepted when reading.
    secret_key_fallbacks: tuple[str | bytes, ...] = field(
        default=(), repr=False, metadata=_setting("SECRET_KEY_FALLBACKS", _parse_secret_keys, secret=True)
    )
    #: None for all that the app client allows.
    scopes: tuple[str, ...] | None = field(
        default=None, metadata=_setting("AWS_COGNITO_SCOPES", _parse_scopes)
    )
    refresh_enabled: bool = field(
        default=False, metadata=_setting("AWS_COGNITO_REFRESH_FLOW_ENABLED", _parse_flag)
    )
    refresh_cookie_encrypted: bool = field(
        default=True, metadata=_setting("AWS_COGNITO_REFRESH_COOKIE_ENCRYPTED", _parse_flag)
    )
    #: Seconds.
    refresh_cookie_max_age: int = field(
        default=86400, metadata=_setting("AWS_COGNITO_REFRESH_COOKIE_AGE_SECONDS", _parse_age)
    )
    #: Seconds; None for the token's own lifetime, which a number can only shorten.
    cookie_max_age: int | None = field(
        default=None, metadata=_setting("AWS_COGNITO_COOKIE_AGE_SECONDS", _parse_age)
    )
    #: Without a leading dot; None for cookies of this host alone.
    cookie_domain: str | None = field(
        default=None, metadata=_setting("AWS_COGNITO_COOKIE_DOMAIN", _parse_cookie_domain)
    )
    cookie_samesite: Literal["Lax", "Strict", "None"] = field(
        default="Lax", metadata=_setting("AWS_COGNITO_COOKIE_SAMESITE", _parse_samesite)
    )
    #: Seconds that a token is still taken after its expiry.
    leeway: int = field(default=0, metadata=_setting("AWS_COGNITO_EXPIRATION_LEEWAY", _parse_leeway))
    #: Lets everyone in.
    disabled: bool = field(default=False, metadata=_setting("AWS_COGNITO_DISABLED", _parse_flag))
    login_path: str = field(default="/login", metadata=_setting("AWS_COGNITO_LOGIN_PATH", _parse_path))
    logout_path: str = field(default="/logout", metadata=_setting("AWS_COGNITO_LOGOUT_PATH", _parse_path))
    refresh_path: str = field(default="/refresh", metadata=_setting("AWS_COGNITO_REFRESH_PATH", _parse_path))
    bearer_enabled: bool = field(default=False, metadata=_setting("AWS_COGNITO_BEARER_ENABLED", _parse_flag))
    #: Other app clients whose access tokens are taken as Bearer.
    bearer_client_ids: tuple[str, ...] = field(
        default=(), metadata=_setting("AWS_COGNITO_BEARER_CLIENT_IDS", _parse_client_ids)
    )
    #: Other origins that may send unsafe requests, as browsers write them in ``Origin``.
    trusted_origins: tuple[str, ...] = field(
        default=(), metadata=_setting("AWS_COGNITO_TRUSTED_ORIGINS", _parse_origins)
    )
    #: The ``iss`` of every token; from region and pool unless given.
    issuer: str = field(
        default=None,  # type: ignore[assignment]  # derived in __post_init__, a str from then on
        metadata=_setting("AWS_COGNITO_ISSUER", _parse_issuer),
    )
    #: Where the pool's public keys are; below the issuer unless given.
    jwks_url: str = field(
        default=None,  # type: ignore[assignment]  # derived in __post_init__, a str from then on
        metadata=_setting("AWS_COGNITO_JWKS_URL", _parse_url),
    )
    #: A fixed key set; None to fetch it. No secret by rights, but someone will paste a private key.
    jwks: dict[str, object] | None = field(
        default=None,
        repr=False,
        hash=False,
        metadata=_setting("AWS_COGNITO_JWKS", _parse_key_set, secret=True),
    )
    #: Seconds, for a whole call to Cognito.
    timeout: float = field(default=5.0, metadata=_setting("AWS_COGNITO_TIMEOUT_SECONDS", _parse_timeout))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> CognitoConfig:
        """Return the configuration in ``app.config`` or any other mapping; keys of others are ignored.

        Raises `ConfigurationError` for an ``AWS_COGNITO_…`` key that does not exist, too.
        """
        if not isinstance(mapping, Mapping):
            raise ConfigurationError(
                [f"found a value of type {type(mapping).__name__}, expected a mapping such as app.config"]
            )
        problems = list(_find_unknown_keys(mapping))
        values: dict[str, Any] = {name: mapping.get(key) for name, key in _KEYS.items()}
        try:
            config = cls(**values)
        except ConfigurationError as error:
            raise ConfigurationError([*problems, *error.problems]) from None
        if problems:
            raise ConfigurationError(problems)
        return config

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> CognitoConfig:
        """Same as `from_mapping`, but uses the process environment, where empty means not set."""
        return cls.from_mapping({key: value for key, value in environ.items() if value != ""})

    def __post_init__(self) -> None:
        problems = []
        fit = set()
        for setting in fields(self):
            given = getattr(self, setting.name)
            is_optional = setting.default is not MISSING
            if given is None and is_optional:
                value = setting.default
            else:
                try:
                    value = setting.metadata["parse"](given)
                except _Unfit as unfit:
                    problems.append(f"{_title(setting.name)}: {_describe(setting.name, given, unfit)}")
                    continue
            object.__setattr__(self, setting.name, value)
            fit.add(setting.name)
        problems.extend(_find_contradictions(self, fit))
        if problems:
            raise ConfigurationError(problems)
        if self.issuer is None:
            object.__setattr__(self, "issuer", _issuer_of(self.region, self.user_pool_id))
        if self.jwks_url is None:
            object.__setattr__(self, "jwks_url", f"{self.issuer}/.well-known/jwks.json")

    @cached_property
    def secret_keys(self) -> tuple[bytes, ...]:
        """The current key, then those still accepted when reading."""
        return tuple(_to_bytes(key) for key in (self.secret_key, *self.secret_key_fallbacks))

    @cached_property
    def public_origin(self) -> str:
        """Origin of the site as browsers send it: lower case, without a default port."""
        return _origin_of(self.redirect_url)

    @cached_property
    def callback_path(self) -> str:
        """Path of redirect_url, percent-decoded, with the prefix under which the site is mounted, if any."""
        return _path_of(self.redirect_url)

    @cached_property
    def logout_return_path(self) -> str | None:
        """Path of logout_url, percent-decoded; None if that is on another site."""
        return _path_of(self.logout_url) if _origin_of(self.logout_url) == self.public_origin else None

    @cached_property
    def is_secure(self) -> bool:
        """Whether browsers reach the site by https."""
        return self.public_origin.startswith("https:")

    @cached_property
    def cookie_prefix(self) -> str:
        """What browsers hold us to by the name of a cookie (RFC 6265bis §4.1.3)."""
        if not self.is_secure:
            return ""
        return "__Secure-" if self.cookie_domain else "__Host-"

    @cached_property
    def wants_openid(self) -> bool:
        """Whether an ID token must come with every sign-in."""
        return self.scopes is not None and "openid" in self.scopes

    @cached_property
    def authorize_url(self) -> str:
        return f"{self.domain}/oauth2/authorize"

    @cached_property
    def token_url(self) -> str:
        return f"{self.domain}/oauth2/token"

    @cached_property
    def revoke_url(self) -> str:
        return f"{self.domain}/oauth2/revoke"

    @cached_property
    def cognito_logout_url(self) -> str:
        return f"{self.domain}/logout"


_KEYS: dict[str, str] = {setting.name: setting.metadata["key"] for setting in fields(CognitoConfig)}
_SECRETS = {setting.name for setting in fields(CognitoConfig) if setting.metadata["secret"]}


def _issuer_of(region: str, user_pool_id: str) -> str:
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://cognito-idp.{region}.{suffix}/{user_pool_id}"


def _find_unknown_keys(mapping: Mapping[Any, Any]) -> Iterator[str]:
    known = set(_KEYS.values())
    for key in mapping:
        if isinstance(key, str) and key.startswith(_PREFIX) and key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            advice = f", did you mean {nearest[0]}?" if nearest else ""
            yield f"{_shorten(key)} is no setting of cognito_wsgi{advice}"  # its value may be a secret


def _title(name: str) -> str:
    return f"{_KEYS[name]} ({name})"


def _describe(name: str, given: object, unfit: _Unfit) -> str:
    if given is None:
        return f"missing, expected {unfit}"
    found = given if unfit.found is MISSING else unfit.found
    shown = _show_secret(found) if name in _SECRETS else _show(found)
    return f"found {shown}, expected {unfit}"


def _show_secret(value: object) -> str:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, bytes):
        return f"a value of type {type(value).__name__}"
    return f"a text of {len(value)} byte{'' if len(value) == 1 else 's'}"


_REPR = reprlib.Repr()  # bounds the work, whatever the value
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _SHOWN_LENGTH


def _show(value: object) -> str:
    if isinstance(value, str):
        # What stands before an @ may be a password.
        value = re.sub(r"^([a-z]{1,8}://)?.*@", r"\1…@", value, flags=re.DOTALL)
    try:
        text = _REPR.repr(value)
    except ValueError:  # an integer of more than 4,300 digits
        text = f"a value of type {type(value).__name__}"
    return _shorten(text)


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def _find_contradictions(config: CognitoConfig, fit: set[str]) -> Iterator[str]:
    """Yield what the settings that are fit by themselves disagree on."""
    for names, check in _AGREEMENTS:
        if fit.issuperset(names):
            yield from check(config)


def _check_region_of_pool(config: CognitoConfig) -> Iterator[str]:
    region_of_pool = config.user_pool_id.rpartition("_")[0]
    if config.issuer is None and region_of_pool != config.region:
        yield (
            f"{_title('user_pool_id')}: found {_show(config.user_pool_id)}, which is in {_show(region_of_pool)}, "
            f"expected a pool in the region that {_title('region')} names, {_show(config.region)}"
        )


def _check_samesite(config: CognitoConfig) -> Iterator[str]:
    if config.cookie_samesite == "None" and not config.is_secure:
        yield (
            f"{_title('cookie_samesite')}: found 'None', which browsers take only with https, expected 'Lax' or "
            f"'Strict', or an https {_title('redirect_url')} instead of {_show(config.redirect_url)}"
        )


def _check_cookie_domain(config: CognitoConfig) -> Iterator[str]:
    host = _host_of(config.redirect_url)
    if config.cookie_domain and not f".{host}".endswith(f".{config.cookie_domain}"):
        yield (
            f"{_title('cookie_domain')}: found {_show(config.cookie_domain)}, expected the host of "
            f"{_title('redirect_url')}, {_show(host)}, or a domain above it"
        )


def _check_path_of_logout_url(config: CognitoConfig) -> Iterator[str]:
    if config.logout_return_path is not None and not _has_usable_path(config.logout_url):
        yield (
            f"{_title('logout_url')}: found {_show(config.logout_url)}, expected a URL whose path is UTF-8 "
            "without '//', '.' or '..' segments, '\\' and control characters"
        )


def _served_path(config: CognitoConfig, name: str) -> str | None:
    if name == "redirect_url":
        return config.callback_path
    if name == "logout_url":
        return config.logout_return_path
    return cast(str, getattr(config, name))


def _check_paths_differ(config: CognitoConfig, one: str, other: str) -> Iterator[str]:
    path = _served_path(config, one)
    if path == _served_path(config, other):
        yield f"{_title(one)}: found the path {_show(path)}, expected another than that of {_title(other)}"


_Check = Callable[[CognitoConfig], Iterator[str]]

_OWN_PATHS = ("login_path", "logout_path", "refresh_path", "redirect_url")
_DISTINCT_PATHS = (
    *combinations(_OWN_PATHS, 2),
    ("logout_url", "logout_path"),  # Cognito would come back to sign-out for ever
    ("logout_url", "refresh_path"),
    ("logout_url", "redirect_url"),
)

#: Which settings a check needs, and the check.
_AGREEMENTS: tuple[tuple[tuple[str, ...], _Check], ...] = (
    (("region", "user_pool_id", "issuer"), _check_region_of_pool),
    (("cookie_samesite", "redirect_url"), _check_samesite),
    (("cookie_domain", "redirect_url"), _check_cookie_domain),
    (("logout_url", "redirect_url"), _check_path_of_logout_url),
    *(
        # The public origin decides whether the path of logout_url is ours.
        ((one, other, "redirect_url"), partial(_check_paths_differ, one=one, other=other))
        for one, other in _DISTINCT_PATHS
    ),
)
