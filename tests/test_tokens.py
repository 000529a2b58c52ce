"""Claim by claim and limit by limit: which tokens are taken, and as which claim a refused one fails (design.md §8)."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable
from typing import Any

import pytest

from cognito_wsgi.errors import (
    CognitoError,
    InvalidClaim,
    InvalidSignature,
    MalformedToken,
    TokenExpired,
    TokenNotYetValid,
    TokenVerifyError,
    UnknownKey,
)
from cognito_wsgi.tokens import (
    MAX_NESTING,
    Claims,
    TokenVerifier,
    _parse,
    access_token_hash,
    group_names,
    scope_names,
)

from .forging import (
    HEADER,
    KID,
    NONCE,
    NOW,
    POOL,
    access_claims,
    compact,
    decode,
    id_claims,
    new_key,
    no_keys_to_be_had,
    signed,
    to_bytes,
    verifier,
)

VERIFIER = verifier()
ACCESS_TOKEN = signed(HEADER, access_claims())
OTHER_CLIENT = "otherclient000000000000000"


def verify_access(token: str, by: TokenVerifier = VERIFIER, **options: Any) -> Claims:
    return by.verify_access_token(token, **{"now": NOW, **options}).claims


def verify_id(token: str, by: TokenVerifier = VERIFIER, **options: Any) -> Claims:
    expected = {"access_token": ACCESS_TOKEN, "sub": id_claims()["sub"], "now": NOW, "nonce": NONCE}
    return by.verify_id_token(token, **{**expected, **options}).claims


Kind = tuple[Callable[..., dict[str, Any]], Callable[..., Claims]]
ACCESS: Kind = (access_claims, verify_access)
ID: Kind = (id_claims, verify_id)
BOTH = pytest.mark.parametrize(
    "kind", [pytest.param(ACCESS, id="access token"), pytest.param(ID, id="ID token")]
)


@BOTH
def test_genuine_token_gives_its_claims_as_they_are(kind: Kind) -> None:
    make, verify = kind
    assert verify(signed(HEADER, make())) == make()


def test_verified_token_names_the_key_that_signed_it() -> None:
    numbers = POOL._key.public_key().public_numbers()
    assert VERIFIER.verify_access_token(ACCESS_TOKEN, now=NOW).key == (KID, numbers.n, numbers.e)


# each claim: absent, null, of a wrong type, of a wrong value

NO_TEXT = {
    "absent": ...,
    "null": None,
    "empty": "",
    "a number": 7,
    "true": True,
    "a list of the right one": lambda right: [right],
    "an object": lambda right: {right: right},
}
NO_TIME = {
    "absent": ...,
    "null": None,
    "text": lambda right: str(right),
    "true": True,
    "false": False,
    "a list": lambda right: [right],
    "an object": {},
    "negative": -1,
    "beyond what a float counts": 2**53,
    "huge": 1e300,
    "hundreds of digits": 10**299,
}
ISSUER = POOL.issuer
WRONG_VALUES = {
    "iss": {
        "another pool": ISSUER[:-1] + "9",
        "a slash behind": ISSUER + "/",
        "a longer one": ISSUER + "x",
        "a shorter one": ISSUER[:-1],
        "http": ISSUER.replace("https", "http"),
        "capitals": ISSUER.upper(),
        "a blank before": " " + ISSUER,
        "a line behind": ISSUER + "\n",
    },
    "client_id": {"another client": OTHER_CLIENT, "capitals": POOL.client_id.upper(), "a part": "testclient"},
    "aud": {"another client": OTHER_CLIENT, "capitals": POOL.client_id.upper(), "a part": "testclient"},
    "sub": {"another user": "00000000-0000-0000-0000-000000000000"},
    "nonce": {"another": "m" * 43, "a longer one": NONCE + "n"},
}
TEXTS = {
    ACCESS: ["iss", "token_use", "client_id", "sub", "username"],
    ID: ["iss", "token_use", "aud", "sub", "nonce"],
}
TIMES = ["exp", "iat"]


def wrong_claims() -> list[Any]:
    rows = []
    for kind, name in ((ACCESS, "access"), (ID, "ID")):
        faults = {claim: {**NO_TEXT, **WRONG_VALUES.get(claim, {})} for claim in TEXTS[kind]}
        faults["token_use"] |= {
            "the other kind": "id" if kind is ACCESS else "access",
            "capitals": name.upper(),
        }
        faults |= dict.fromkeys(TIMES, NO_TIME)
        faults["nbf"] = {fault: value for fault, value in NO_TIME.items() if value is not ...}
        if kind is ACCESS:
            del faults["sub"]["another user"]  # who it is, the access token says
        rows += [
            pytest.param(kind, claim, value, id=f"{name} token: {claim}, {fault}")
            for claim, values in faults.items()
            for fault, value in values.items()
        ]
    return rows


@pytest.mark.parametrize(("kind", "claim", "value"), wrong_claims())
def test_wrong_claim_is_refused_by_name(kind: Kind, claim: str, value: Any) -> None:
    make, verify = kind
    right = make(nbf=NOW)[claim]
    wrong = make(**{claim: value(right) if callable(value) else value})
    with pytest.raises(InvalidClaim) as caught:
        verify(signed(HEADER, wrong))
    assert caught.value.claim == claim
    assert not isinstance(caught.value, (TokenExpired, TokenNotYetValid))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        pytest.param("scope", None, id="scope null"),
        pytest.param("scope", ["openid"], id="scope a list"),
        pytest.param("scope", 1, id="scope a number"),
        pytest.param("cognito:groups", None, id="groups null"),
        pytest.param("cognito:groups", "admin", id="groups a text"),
        pytest.param("cognito:groups", {"admin": 1}, id="groups an object"),
        pytest.param("cognito:groups", [["admin"]], id="groups within groups"),
        pytest.param("cognito:groups", ["admin", 1], id="a group that is a number"),
        pytest.param("cognito:groups", [None], id="a group that is null"),
        pytest.param("aud", None, id="aud null"),
        pytest.param("aud", [POOL.client_id], id="aud a list"),
        pytest.param("aud", OTHER_CLIENT, id="aud of another client"),
        pytest.param("aud", "https://localhost", id="aud of another scheme"),
        pytest.param("aud", "http://localhost:81", id="aud of another port"),
        pytest.param("aud", "http://user@localhost/", id="aud with a user's name"),
        pytest.param("aud", "http://localhost.evil.test/", id="aud of a longer host"),
        pytest.param("aud", "http://[::1", id="aud no address"),
    ],
)
def test_wrong_optional_claim_of_an_access_token_is_refused_by_name(claim: str, value: Any) -> None:
    with pytest.raises(InvalidClaim) as caught:
        verify_access(signed(HEADER, access_claims(**{claim: value})))
    assert caught.value.claim == claim


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"cognito:groups": ...}, id="no groups"),
        pytest.param({"cognito:groups": []}, id="an empty list of groups"),
        pytest.param({"scope": ...}, id="no scope"),
        pytest.param({"scope": ""}, id="an empty scope"),
        pytest.param({"auth_time": ...}, id="no auth_time"),
        pytest.param({"nbf": NOW}, id="nbf now"),
        pytest.param({"nbf": 0}, id="nbf long ago"),
        pytest.param({"iat": 0}, id="iat long ago"),
        pytest.param({"exp": NOW + 0.5}, id="exp with a fraction"),
        pytest.param({"exp": 2**53 - 1}, id="exp as far as a float counts"),
        pytest.param({"aud": POOL.client_id}, id="aud of a trigger"),
        pytest.param({"aud": "http://localhost"}, id="aud this site"),
        pytest.param({"aud": "http://LOCALHOST/api?x=1"}, id="aud a resource of this site"),
        pytest.param({"custom": {"a": [1, 2.5, None, True, "ü"]}}, id="a claim of the operator's"),
        pytest.param({"version": 3, "event_id": ..., "jti": ...}, id="other members of the shape"),
    ],
)
def test_access_token_may_have_or_lack_what_cognito_may_change(changes: dict[str, Any]) -> None:
    assert verify_access(signed(HEADER, access_claims(**changes))) == access_claims(**changes)


# times, on both sides of each limit


@BOTH
@pytest.mark.parametrize(
    ("leeway", "exp", "is_alive"),
    [
        pytest.param(0, NOW - 1, False, id="a second ago"),
        pytest.param(0, NOW, False, id="now"),
        pytest.param(0, NOW + 0.001, True, id="in a millisecond"),
        pytest.param(0, NOW + 1, True, id="in a second"),
        pytest.param(30, NOW - 30, False, id="30 s ago, leeway 30"),
        pytest.param(30, NOW - 29, True, id="29 s ago, leeway 30"),
    ],
)
def test_exp_is_strict_up_to_leeway(kind: Kind, leeway: int, exp: float, is_alive: bool) -> None:
    make, verify = kind
    token = signed(HEADER, make(exp=exp))
    by = verifier(leeway=leeway)
    if is_alive:
        assert verify(token, by)["exp"] == exp
        return
    with pytest.raises(TokenExpired) as caught:
        verify(token, by)
    assert (caught.value.claim, caught.value.claims) == ("exp", make(exp=exp))


@BOTH
@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize(
    ("leeway", "ahead", "is_good"),
    [
        pytest.param(0, 10, True, id="10 s"),
        pytest.param(0, 11, False, id="11 s"),
        pytest.param(5, 10, True, id="10 s, leeway 5"),
        pytest.param(5, 11, False, id="11 s, leeway 5"),
        pytest.param(30, 30, True, id="30 s, leeway 30"),
        pytest.param(30, 31, False, id="31 s, leeway 30"),
    ],
)
def test_iat_and_nbf_may_lie_ahead_ten_seconds_or_leeway(
    kind: Kind, claim: str, leeway: int, ahead: int, is_good: bool
) -> None:
    make, verify = kind
    token = signed(HEADER, make(**{claim: NOW + ahead}))
    by = verifier(leeway=leeway)
    if is_good:
        assert verify(token, by)[claim] == NOW + ahead
        return
    with pytest.raises(TokenNotYetValid) as caught:
        verify(token, by)
    assert caught.value.claim == claim


def test_only_a_genuine_token_is_called_expired() -> None:
    with pytest.raises(InvalidSignature):
        verify_access(signed(HEADER, access_claims(exp=NOW - 1), key=new_key()))


# what only an ID token has


@pytest.mark.parametrize(
    ("at_hash", "is_good"),
    [
        pytest.param(..., True, id="absent"),
        pytest.param(access_token_hash(ACCESS_TOKEN), True, id="right"),
        pytest.param(access_token_hash(ACCESS_TOKEN + "x"), False, id="another token's"),
        pytest.param(None, False, id="null"),
        pytest.param("", False, id="empty"),
        pytest.param(7, False, id="a number"),
        pytest.param([access_token_hash(ACCESS_TOKEN)], False, id="a list of the right one"),
    ],
)
def test_at_hash_fits_the_access_token_where_it_is_present(at_hash: Any, is_good: bool) -> None:
    token = signed(HEADER, id_claims(at_hash=at_hash))
    if is_good:
        assert verify_id(token) == id_claims(at_hash=at_hash)
        return
    with pytest.raises(InvalidClaim) as caught:
        verify_id(token)
    assert caught.value.claim == "at_hash"


def test_at_hash_is_that_of_the_standard() -> None:
    """OpenID Connect Core §A.3: the example's access token and its hash."""
    assert access_token_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"


@pytest.mark.parametrize(
    ("older", "newer", "belongs"),
    [
        pytest.param({}, {"iat": NOW + 600}, True, id="a later access token of the sign-in"),
        pytest.param({}, {}, True, id="another of the same second"),
        pytest.param({"iat": NOW + 1}, {}, False, id="an earlier access token"),
        pytest.param({"origin_jti": ...}, {"iat": NOW + 600}, True, id="no origin_jti, the same auth_time"),
        pytest.param({"origin_jti": ...}, {}, False, id="no origin_jti, another of the same second"),
        pytest.param(
            {"origin_jti": ...},
            {"iat": NOW + 600, "auth_time": NOW + 500},
            False,
            id="no origin_jti, another sign-in",
        ),
        pytest.param(
            {"origin_jti": ..., "auth_time": ...},
            {"iat": NOW + 600, "auth_time": ...},
            False,
            id="nothing to tell by",
        ),
        pytest.param(
            {"origin_jti": "another"}, {"iat": NOW + 600, "auth_time": NOW + 500}, False, id="another sign-in"
        ),
    ],
)
def test_id_token_of_a_session_may_be_older_than_its_access_token_and_of_the_same_sign_in(
    older: dict[str, Any], newer: dict[str, Any], belongs: bool
) -> None:
    """An access token that was refreshed alone leaves an ID token whose ``at_hash`` is that of the one before."""
    common = {"origin_jti": "the same", "at_hash": access_token_hash("the one before")}
    token = signed(HEADER, id_claims(**{**common, **older}))
    access = access_claims(**{"origin_jti": "the same", **newer})
    if belongs:
        assert verify_id(token, access_claims=access)["at_hash"] == common["at_hash"]
    else:
        with pytest.raises(InvalidClaim, match="at_hash"):
            verify_id(token, access_claims=access)
    with pytest.raises(InvalidClaim, match="at_hash"):  # at sign-in it has to fit
        verify_id(token)


@pytest.mark.parametrize("nonce", [..., "another", None, 7])
def test_nonce_is_asked_for_at_sign_in_alone(nonce: Any) -> None:
    token = signed(HEADER, id_claims(nonce=nonce))
    assert verify_id(token, nonce=None) == id_claims(nonce=nonce)
    with pytest.raises(InvalidClaim):
        verify_id(token)


# which token for which purpose


def test_the_two_kinds_do_not_stand_in_for_each_other() -> None:
    everything = {"aud": POOL.client_id, "client_id": POOL.client_id, "username": "alice"}
    with pytest.raises(InvalidClaim, match="token_use"):
        verify_access(signed(HEADER, id_claims(**everything)))
    with pytest.raises(InvalidClaim, match="token_use"):
        verify_id(signed(HEADER, access_claims(**everything, nonce=NONCE)))


@pytest.mark.parametrize(
    ("token", "in_cookie", "as_bearer", "as_known_bearer"),
    [
        pytest.param(POOL.access_token(), True, True, True, id="a user's"),
        pytest.param(POOL.other_client_token(), False, False, True, id="another client's user"),
        pytest.param(POOL.machine_token(), False, True, True, id="this client for itself"),
        pytest.param(
            POOL.machine_token(client_id=OTHER_CLIENT), False, False, True, id="another client for itself"
        ),
        pytest.param(POOL.machine_token(username=None), False, False, False, id="a machine with a null name"),
        pytest.param(POOL.id_token(), False, False, False, id="an ID token"),
        pytest.param(POOL.other_pool_token(), False, False, False, id="another pool's"),
        pytest.param(POOL.expired_token(), False, False, False, id="expired"),
    ],
)
def test_who_may_use_which_token(token: str, in_cookie: bool, as_bearer: bool, as_known_bearer: bool) -> None:
    others = verifier(bearer_enabled=True, bearer_client_ids=(OTHER_CLIENT,))
    ways = [
        (in_cookie, VERIFIER, False),
        (as_bearer, VERIFIER, True),
        (in_cookie, others, False),
        (as_known_bearer, others, True),
    ]
    for is_good, by, bearer in ways:
        if is_good:
            assert (
                by.verify_access_token(token, now=time.time(), bearer=bearer).claims["token_use"] == "access"
            )
        else:
            with pytest.raises(TokenVerifyError):
                by.verify_access_token(token, now=time.time(), bearer=bearer)


def test_aud_of_a_bearer_token_is_its_own_client() -> None:
    by = verifier(bearer_enabled=True, bearer_client_ids=(OTHER_CLIENT,))
    own = access_claims(client_id=OTHER_CLIENT, aud=OTHER_CLIENT)
    assert verify_access(signed(HEADER, own), by, bearer=True) == own
    with pytest.raises(InvalidClaim, match="aud"):
        verify_access(
            signed(HEADER, access_claims(client_id=OTHER_CLIENT, aud=POOL.client_id)), by, bearer=True
        )


@pytest.mark.parametrize(
    ("changes", "groups", "scopes"),
    [
        pytest.param({"cognito:groups": ["b", "a", "c"]}, ("b", "a", "c"), {"openid"}, id="in their order"),
        pytest.param({"cognito:groups": ...}, (), {"openid"}, id="no groups"),
        pytest.param({"cognito:groups": [], "scope": "x/read  y"}, (), {"x/read", "y"}, id="two scopes"),
        pytest.param({"cognito:groups": [], "scope": ...}, (), set(), id="no scope"),
        pytest.param(
            {"cognito:groups": [], "scope": "x\ty\u00a0z a"}, (), {"x\ty\u00a0z", "a"}, id="other white space"
        ),
    ],
)
def test_groups_and_scopes_are_what_the_claims_say(
    changes: dict[str, Any], groups: tuple[str, ...], scopes: set[str]
) -> None:
    claims = access_claims(**{"scope": "openid", **changes})
    assert (group_names(claims), scope_names(claims)) == (groups, scopes)


# before any cryptography: with keys that cannot be had the refusal comes all the same

LONG_KID = "k" * 256
LONGEST = 32 * 1024  # design.md §8


def padded_to(length: int) -> str:
    """A signed access token of so many characters, made so long by blanks in its header and claims."""
    missing = length - len(signed(HEADER, access_claims()))
    for in_header in (b"", b" ", b"  "):  # no single base64url text has every length
        for in_claims in range(missing * 3 // 4 - 3, missing * 3 // 4 + 4):
            token = signed(to_bytes(HEADER) + in_header, to_bytes(access_claims()) + b" " * in_claims)
            if len(token) == length:
                return token
    raise AssertionError(length)


def nested(levels: int) -> bytes:
    """Claims with lists inside lists: so many levels in all, the claims' own one too."""
    return to_bytes(access_claims(deep=0)).replace(
        b'"deep": 0', b'"deep": ' + b"[" * (levels - 1) + b"]" * (levels - 1)
    )


def with_claim(text: str) -> bytes:
    """Claims that JSON of our own could not write."""
    return to_bytes(access_claims(odd=0)).replace(b'"odd": 0', text.encode())


def parts(token: str = ACCESS_TOKEN) -> list[str]:
    return token.split(".")


def with_spare_bits(part: str) -> str:
    """Another text that a tolerant decoder reads as the same bytes."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    twin = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
    assert decode(twin) == decode(part)
    return twin


HEADER_GAP = -len(to_bytes(HEADER)) % 3 + 1
#: Its header ends on a character with bits to spare, and it has both of the letters that alphabets differ in.
SPARE = next(
    token
    for n in range(100)
    if {"-", "_"} <= set(token := signed(to_bytes(HEADER) + b" " * HEADER_GAP, access_claims(n=n)))
)

MALFORMED = {
    "empty": "",
    "one part": "abc",
    "two parts": ".".join(parts()[:2]),
    "four parts": ACCESS_TOKEN + ".abc",
    "five parts": ACCESS_TOKEN + ".abc.def",
    "dots alone": "..",
    "no header": "." + ".".join(parts()[1:]),
    "no claims": f"{parts()[0]}..{parts()[2]}",
    "no signature": ".".join(parts()[:2]) + ".",
    "too long by a character": padded_to(LONGEST + 1),
    "dots without end": "." * LONGEST,
    "letters that are none of ASCII": "é" + ACCESS_TOKEN[1:],
    "digits that are none of ASCII": ACCESS_TOKEN + "٣",
    "a lone surrogate": ACCESS_TOKEN + "\ud800",
    "a lone surrogate within": ACCESS_TOKEN.replace(".", ".\ud800", 1),
    "NUL": ACCESS_TOKEN + "\0",
    "a blank before": " " + ACCESS_TOKEN,
    "a line behind": ACCESS_TOKEN + "\n",
    "a line within": ACCESS_TOKEN.replace(".", ".\n", 1),
    "in quotes": f'"{ACCESS_TOKEN}"',
    "padded header": f"{parts()[0]}==.{parts()[1]}.{parts()[2]}",
    "padded signature": ACCESS_TOKEN + "=" * (-len(parts()[2]) % 4 or 4),
    "one character too many": ACCESS_TOKEN + "A" * ((1 - len(parts()[2])) % 4),
    "spare bits in the header": ".".join([with_spare_bits(parts(SPARE)[0]), *parts(SPARE)[1:]]),
    "spare bits in the signature": ".".join([*parts(SPARE)[:2], with_spare_bits(parts(SPARE)[2])]),
    "the other alphabet of base64": SPARE.replace("-", "+").replace("_", "/"),
    "JSON serialisation": json.dumps(
        {"payload": parts()[1], "signatures": [{"protected": parts()[0], "signature": parts()[2]}]}
    ),
    "flattened JSON serialisation": json.dumps(
        dict(zip(("protected", "payload", "signature"), parts(), strict=True))
    ),
    "header no JSON": signed(b"{", access_claims()),
    "header a list": signed(b'["alg", "RS256"]', access_claims()),
    "header null": signed(b"null", access_claims()),
    "header with alg twice": signed(
        f'{{"alg":"RS256","kid":"{KID}","alg":"RS256"}}'.encode(), access_claims()
    ),
    "header with kid twice": signed(f'{{"kid":"x","alg":"RS256","kid":"{KID}"}}'.encode(), access_claims()),
    "header not UTF-8": signed(b'{"alg":"RS256","kid":"\xff"}', access_claims()),
    "header in UTF-16": signed(json.dumps(HEADER).encode("utf-16"), access_claims()),
    "header with a byte order mark": signed(b"\xef\xbb\xbf" + to_bytes(HEADER), access_claims()),
    "header with half a character": signed(to_bytes({**HEADER, "x": "\ud800"}), access_claims()),
    "header nested without end": signed(b'{"a":' * 4000 + b"1" + b"}" * 4000, access_claims()),
    "claims no JSON": signed(HEADER, b"It\xe2\x80\x99s a dangerous business"),
    "claims a list": signed(HEADER, b"[1]"),
    "claims a text": signed(HEADER, b'"sub"'),
    "claims null": signed(HEADER, b"null"),
    "claims in UTF-16": signed(HEADER, json.dumps(access_claims()).encode("utf-16-le")),
    "claims in latin-1": signed(HEADER, with_claim('"odd": "ü"').decode().encode("latin-1")),
    "claims with sub twice": signed(HEADER, with_claim('"sub": "x"')),
    "claims with a name twice further in": signed(HEADER, with_claim('"odd": [{"a": 1, "a": 1}]')),
    "claims with the same name twice, once escaped": signed(HEADER, with_claim(r'"\u0073ub": "x"')),
    "claims with half a character": signed(HEADER, access_claims(username="\ud800")),
    "claims with half a character in a name": signed(HEADER, access_claims(**{"\udfff": 1})),
    "claims with NaN": signed(HEADER, with_claim('"odd": NaN')),
    "claims with Infinity": signed(HEADER, with_claim('"odd": Infinity')),
    "claims with -Infinity": signed(HEADER, with_claim('"odd": -Infinity')),
    "claims with a number beyond floats": signed(HEADER, with_claim('"odd": 1e400')),
    "claims with a number as far below": signed(HEADER, with_claim('"odd": -1e400')),
    "claims with 301 digits": signed(HEADER, with_claim('"odd": 1' + "0" * 300)),
    "claims with 5,000 digits": signed(HEADER, with_claim('"odd": ' + "9" * 5000)),
    "claims with a comment behind": signed(HEADER, to_bytes(access_claims()) + b"//"),
    "claims nested one too deep": signed(HEADER, nested(MAX_NESTING + 2)),
    "claims nested without end": signed(HEADER, nested(10_000)),
    "claims nested in objects": signed(HEADER, with_claim('"odd": ' + '{"a":' * 40 + "1" + "}" * 40)),
}
ALGORITHMS = """
none None NONE nOnE HS256 HS384 HS512 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 ES256K EdDSA rs256 Rs256
RSA1_5 RSA-OAEP RSA-OAEP-256 dir A128KW RS256,HS256
"""
HEADERS: dict[str, dict[str, Any]] = {
    **{f"alg {name!r}": {"alg": name} for name in [*ALGORITHMS.split(), "", " RS256", "RS256\n", "RS256\0"]},
    "alg absent": {"alg": ...},
    "alg null": {"alg": None},
    "alg a list": {"alg": ["RS256"]},
    "alg a number": {"alg": 256},
    "alg in another name": {"alg": ..., "Alg": "RS256"},
    "kid absent": {"kid": ...},
    "kid null": {"kid": None},
    "kid empty": {"kid": ""},
    "kid a number": {"kid": 0},
    "kid a list": {"kid": [KID]},
    "kid an object": {"kid": {KID: KID}},
    "kid too long by a character": {"kid": LONG_KID + "k"},
    "crit": {"crit": ["exp"]},
    "crit empty": {"crit": []},
    "crit null": {"crit": None},
    "crit with its extension": {"crit": ["b64"], "b64": True},
    "jku": {"jku": "https://evil.test/jwks.json"},
    "jku of the pool itself": {"jku": f"{ISSUER}/.well-known/jwks.json"},
    "x5u": {"x5u": "https://evil.test/cert.pem"},
    "x5c": {"x5c": ["MIIB"]},
    "jwk": {"jwk": POOL.jwks["keys"][0]},
    "jwk null": {"jwk": None},
    "b64": {"b64": False},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A128GCM"},
}


@pytest.fixture(scope="module")
def blind() -> Any:
    """A verifier that has no keys and can get none: it says CognitoError as soon as it wants one."""
    with no_keys_to_be_had() as address:
        yield verifier(jwks=None, jwks_url=address, timeout=1)


@BOTH
@pytest.mark.parametrize("token", [pytest.param(token, id=name) for name, token in MALFORMED.items()])
def test_malformed_token_is_refused_before_any_cryptography(
    blind: TokenVerifier, kind: Kind, token: str
) -> None:
    verify = kind[1]
    for by in (VERIFIER, blind):
        with pytest.raises(MalformedToken):
            verify(token, by)


@BOTH
@pytest.mark.parametrize("members", [pytest.param(members, id=name) for name, members in HEADERS.items()])
def test_wrong_header_is_refused_before_any_cryptography(
    blind: TokenVerifier, kind: Kind, members: dict[str, Any]
) -> None:
    make, verify = kind
    header = {name: value for name, value in {**HEADER, **members}.items() if value is not ...}
    for by in (VERIFIER, blind):
        with pytest.raises(MalformedToken):
            verify(signed(header, make()), by)


@pytest.mark.parametrize(("kind", "claim", "value"), [*wrong_claims()][::7])
def test_wrong_claim_is_refused_before_any_cryptography(
    blind: TokenVerifier, kind: Kind, claim: str, value: Any
) -> None:
    make, verify = kind
    with pytest.raises(InvalidClaim):
        verify(
            signed(HEADER, make(**{claim: value(make(nbf=NOW)[claim]) if callable(value) else value})), blind
        )


@BOTH
def test_a_token_without_fault_wants_the_keys(blind: TokenVerifier, kind: Kind) -> None:
    """What makes the three tests above tell something."""
    make, verify = kind
    with pytest.raises(CognitoError):
        verify(signed(HEADER, make()), blind)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="as Cognito writes it"),
        pytest.param({"typ": "JWT"}, id="typ"),
        pytest.param({"typ": "at+jwt"}, id="typ of RFC 9068"),
        pytest.param({"cty": "json"}, id="cty"),
        pytest.param({"x5t": "abc", "x5t#S256": "abc"}, id="a hint at a certificate"),
        pytest.param({"unknown": {"a": [1]}}, id="a member unknown to us"),
    ],
)
def test_other_header_members_change_nothing(members: dict[str, Any]) -> None:
    assert verify_access(signed({**HEADER, **members}, access_claims())) == access_claims()


def test_longest_kid_is_looked_up() -> None:
    with pytest.raises(UnknownKey):
        verify_access(signed({**HEADER, "kid": LONG_KID}, access_claims()))


def test_token_of_32_kib_is_taken() -> None:
    assert verify_access(padded_to(LONGEST)) == access_claims()


def test_deepest_nesting_is_taken() -> None:
    assert verify_access(signed(HEADER, nested(MAX_NESTING + 1)))["deep"] != 0


def test_300_digits_are_taken_and_fit_a_float() -> None:
    claims = verify_access(signed(HEADER, with_claim('"odd": ' + "9" * 300)))
    assert float(claims["odd"]) == 1e300


def test_escaped_characters_are_those_they_stand_for() -> None:
    claims = verify_access(signed(HEADER, with_claim(r'"odd": "\ud83d\ude00 \/ \u00fc"')))
    assert claims["odd"] == "😀 / ü"


def test_claims_may_be_set_in_white_space() -> None:
    assert (
        verify_access(signed(HEADER, b" \r\n" + json.dumps(access_claims(), indent=3).encode() + b"\t\n"))
        == access_claims()
    )


def test_errors_say_nothing_of_the_token() -> None:
    forged = compact(HEADER, access_claims())
    with pytest.raises(InvalidSignature) as caught:
        verify_access(forged)
    assert (
        f"{caught.value!r} {caught.value}"
        == "InvalidSignature('the signature does not fit') the signature does not fit"
    )


def test_reprs_say_nothing_of_the_token() -> None:
    verified = VERIFIER.verify_access_token(ACCESS_TOKEN, now=NOW)
    assert f"{verified!r} {_parse(ACCESS_TOKEN)!r}" == "VerifiedToken() _ParsedToken()"
