"""Known attacks on signed tokens, each with its own test, and a search for unknown ones (design.md §8, RFC 8725)."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import string
import time
from typing import Any
from wsgiref.validate import validator

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request, Response

from cognito_wsgi import CognitoGateway
from cognito_wsgi.errors import InvalidSignature, MalformedToken, TokenVerifyError, UnknownKey
from cognito_wsgi.tokens import Claims, _decode_base64url

from .forging import (
    HEADER,
    KID,
    NONCE,
    NOW,
    POOL,
    SIGNING_KEY,
    access_claims,
    base64url,
    compact,
    decode,
    id_claims,
    jwk,
    new_key,
    signed,
    to_bytes,
    verifier,
)
from .serving import served
from .visiting import FETCH, NAVIGATION, Application

VERIFIER = verifier()
PUBLIC_KEY = SIGNING_KEY.public_key()
SIGNED_TEXT = compact(HEADER, access_claims()).rpartition(".")[0]
GENUINE = signed(HEADER, access_claims())


def verify(token: str) -> Claims:
    return VERIFIER.verify_access_token(token, now=NOW).claims


def with_signature(signature: bytes, header: dict[str, Any] = HEADER) -> str:
    return compact(header, access_claims(), signature)


# one test for each known attack


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), id="PEM"),
        pytest.param(PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.PKCS1), id="PEM of PKCS 1"),
        pytest.param(PUBLIC_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), id="DER"),
        pytest.param(json.dumps(POOL.jwks["keys"][0]).encode(), id="JWK"),
        pytest.param(POOL.jwks["keys"][0]["n"].encode(), id="modulus"),
        pytest.param(b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("said", ["HS256", "RS256"])
def test_public_key_as_a_secret_opens_nothing(secret: bytes, said: str) -> None:
    """CVE-2015-9235 and its many heirs."""
    header = {**HEADER, "alg": said}
    text = compact(header, access_claims()).rpartition(".")[0]
    with pytest.raises(MalformedToken if said == "HS256" else InvalidSignature):
        verify(with_signature(hmac.digest(secret, text.encode(), hashlib.sha256), header))


@pytest.mark.parametrize("said", ["none", "RS256"])
def test_no_signature_is_none_that_fits(said: str) -> None:
    unsigned = compact({**HEADER, "alg": said}, access_claims()).rpartition(".")[0]
    for signature in ("", ".", ".AA", "." + "A" * 342):
        with pytest.raises(TokenVerifyError):
            verify(unsigned + signature)


@pytest.mark.parametrize(
    ("said", "signature"),
    [
        pytest.param("RS256", SIGNING_KEY.sign(SIGNED_TEXT.encode(), PKCS1v15(), SHA1()), id="SHA-1"),
        pytest.param("RS256", SIGNING_KEY.sign(SIGNED_TEXT.encode(), PKCS1v15(), SHA384()), id="RS384"),
        pytest.param("RS256", SIGNING_KEY.sign(SIGNED_TEXT.encode(), PKCS1v15(), SHA512()), id="RS512"),
        pytest.param(
            "RS256", SIGNING_KEY.sign(SIGNED_TEXT.encode(), PSS(MGF1(SHA256()), 32), SHA256()), id="PS256"
        ),
    ],
)
def test_only_rs256_is_taken_for_rs256(said: str, signature: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(with_signature(signature))


def test_token_cannot_bring_its_own_key() -> None:
    """CVE-2018-0114: the key in the header, by value or by address. Nobody is asked for it."""
    mine = new_key()
    entry = jwk(mine.public_key().public_numbers(), "mine")
    visits: list[str] = []

    def make_app(origin: str) -> Any:
        @Request.application
        def app(request: Request) -> Response:
            visits.append(request.path)
            return Response(json.dumps({"keys": [entry]}), mimetype="application/json")

        return app

    with served(make_app) as origin:
        address = f"{origin}/jwks.json"
        members: list[dict[str, Any]] = [
            {"jwk": entry},
            {"jku": address},
            {"x5u": address},
            {"x5c": ["MIIB"]},
            {"iss": address},
            {"kid": address},
        ]
        for member in members:
            with pytest.raises(TokenVerifyError):
                verify(signed({**HEADER, **member}, access_claims(), key=mine))
    assert visits == []


@pytest.mark.parametrize(
    "kid",
    [
        pytest.param("../../../../dev/null", id="a path"),
        pytest.param("/etc/passwd", id="a file"),
        pytest.param("x' UNION SELECT 'secret", id="SQL"),
        pytest.param("https://evil.test/key", id="an address"),
        pytest.param("key|id", id="a command"),
        pytest.param("{0.__class__}", id="a format"),
        pytest.param("keys", id="a member"),
        pytest.param(KID + " ", id="ours and a blank"),
        pytest.param(KID + "\0", id="ours and NUL"),
        pytest.param(KID[:-1], id="ours cut short"),
        pytest.param(KID.swapcase(), id="ours in the other case"),
        pytest.param(KID.replace("=", "%3D"), id="ours escaped"),
    ],
)
def test_kid_is_a_name_to_look_up_and_nothing_else(kid: str) -> None:
    with pytest.raises(UnknownKey):
        verify(signed({**HEADER, "kid": kid}, access_claims()))


def test_key_that_kid_names_is_the_only_one_tried() -> None:
    two = {"keys": [*POOL.jwks["keys"], jwk(new_key().public_key().public_numbers(), "second")]}
    by = verifier(jwks=two)
    assert by.verify_access_token(signed(HEADER, access_claims()), now=NOW)
    with pytest.raises(InvalidSignature):
        by.verify_access_token(signed({**HEADER, "kid": "second"}, access_claims()), now=NOW)


def test_signature_is_good_for_one_text_alone() -> None:
    header, claims, signature = GENUINE.split(".")
    others = [
        (base64url(to_bytes({**HEADER, "typ": "JWT"})), claims),
        (header, base64url(to_bytes(access_claims(username="root")))),
        (header, base64url(json.dumps(access_claims(), separators=(",", ":")).encode())),
        (claims, header),
    ]
    for other_header, other_claims in others:
        with pytest.raises(TokenVerifyError):
            verify(f"{other_header}.{other_claims}.{signature}")


@pytest.mark.parametrize("place", range(0, len(GENUINE), 3))
def test_any_character_changed_makes_a_token_bad(place: int) -> None:
    for letter in ("A", "B", "_", ".", "=", "+", " ", "\0", "é"):
        if GENUINE[place] != letter:
            with pytest.raises(TokenVerifyError):
                verify(GENUINE[:place] + letter + GENUINE[place + 1 :])
    with pytest.raises(TokenVerifyError):
        verify(GENUINE[:place] + GENUINE[place + 1 :])


# signatures that a careless check of PKCS #1 takes (RFC 8017 §8.2.2; Bleichenbacher's forgery and its heirs)

SIZE = SIGNING_KEY.key_size // 8
NUMBERS = SIGNING_KEY.private_numbers()
MODULUS = NUMBERS.public_numbers.n
DIGEST = hashlib.sha256(SIGNED_TEXT.encode()).digest()
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def raised(message: bytes) -> bytes:
    """The signature that opens to exactly these bytes."""
    return pow(int.from_bytes(message, "big"), NUMBERS.d, MODULUS).to_bytes(SIZE, "big")


def padded(
    info: bytes, *, head: bytes = b"\0\1", fill: bytes = b"\xff", end: bytes = b"\0", behind: bytes = b""
) -> bytes:
    room = SIZE - len(head + end + info + behind)
    return head + fill * room + end + info + behind


def test_signature_made_by_hand_is_good() -> None:
    """What makes the next table tell something."""
    assert verify(with_signature(raised(padded(SHA256_PREFIX + DIGEST)))) == access_claims()


FORGED = {
    "garbage behind the hash": raised(padded(SHA256_PREFIX + DIGEST, behind=b"\xaa" * 100)),
    "zeros behind the hash": raised(padded(SHA256_PREFIX + DIGEST, behind=b"\0" * 8)),
    "eight bytes of padding": raised(
        (b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_PREFIX + DIGEST).ljust(SIZE, b"\xaa")
    ),
    "padding of zeros": raised(padded(SHA256_PREFIX + DIGEST, fill=b"\0")),
    "padding of a block for encryption": raised(padded(SHA256_PREFIX + DIGEST, head=b"\0\2", fill=b"\x55")),
    "block type 0": raised(padded(SHA256_PREFIX + DIGEST, head=b"\0\0")),
    "no end of the padding": raised(padded(SHA256_PREFIX + DIGEST, end=b"")),
    "no name of the hash": raised(padded(DIGEST)),
    "the name of SHA-512": raised(padded(bytes.fromhex("3031300d060960864801650304020305000420") + DIGEST)),
    "the name of MD5": raised(padded(bytes.fromhex("3020300c06082a864886f70d020505000410") + DIGEST[:16])),
    "no NULL": raised(padded(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + DIGEST)),
    "something in place of NULL": raised(
        padded(bytes.fromhex("3033300f0609608648016503040201040200000420") + DIGEST)
    ),
    "lengths in long form": raised(
        padded(bytes.fromhex("308131300d060960864801650304020105000420") + DIGEST)
    ),
    "a hash cut short": raised(padded(bytes.fromhex("3030300d06096086480165030402010500041f") + DIGEST[:31])),
    "the hash of another text": raised(padded(SHA256_PREFIX + hashlib.sha256(b"").digest())),
    "0": b"\0" * SIZE,
    "1": b"\1".rjust(SIZE, b"\0"),
    "the modulus": MODULUS.to_bytes(SIZE, "big"),
    "the modulus less 1": (MODULUS - 1).to_bytes(SIZE, "big"),
    "a zero before": b"\0" + raised(padded(SHA256_PREFIX + DIGEST)),
    "a zero behind": raised(padded(SHA256_PREFIX + DIGEST)) + b"\0",
    "the modulus added": (int.from_bytes(raised(padded(SHA256_PREFIX + DIGEST)), "big") + MODULUS).to_bytes(
        SIZE + 1, "big"
    ),
    "the hash itself": DIGEST,
    "the padded hash itself": padded(SHA256_PREFIX + DIGEST),
    "a megabit": b"\x7f" * 16_000,
}


@pytest.mark.parametrize(
    "signature", [pytest.param(signature, id=name) for name, signature in FORGED.items()]
)
def test_forged_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(with_signature(signature))


def test_signature_for_exponent_three_is_no_cube_root_of_less() -> None:
    """Bleichenbacher 2006: with e = 3 a careless check is passed without any key."""
    key = new_key(exponent=3)
    numbers = key.public_key().public_numbers()
    by = verifier(jwks={"keys": [jwk(numbers, KID)]})
    assert by.verify_access_token(signed(HEADER, access_claims(), key=key), now=NOW)
    target = int.from_bytes(
        (b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_PREFIX + DIGEST).ljust(SIZE, b"\0"), "big"
    )
    root = _cube_root(target) + 1
    opened = (root**3).to_bytes(SIZE, "big")
    assert DIGEST in opened and root**3 < numbers.n  # a careless check finds the hash in it
    with pytest.raises(InvalidSignature):
        by.verify_access_token(with_signature(root.to_bytes(SIZE, "big")), now=NOW)


def _cube_root(number: int) -> int:
    low, high = 0, 1 << (number.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


# the search: whatever comes in, claims that hold what they should, or a TokenVerifyError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(NOW - 20, NOW + 20),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.sampled_from(["RS256", KID, POOL.issuer, POOL.client_id, "access", "id", NONCE, "http://localhost"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*access_claims(), *id_claims(), "nbf", "aud"]) | st.text(max_size=8)
PARTS = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="AZaz09-_.=+/ \n", max_size=200),
    st.binary().map(lambda data: data.decode("latin-1")),
    st.lists(PARTS.map(base64url), max_size=5).map(".".join),
    st.builds(
        lambda place, text: GENUINE[:place] + text + GENUINE[place:],
        st.integers(0, len(GENUINE)),
        st.text(min_size=1),
    ),
)
ID_ARGUMENTS = {"access_token": GENUINE, "sub": id_claims()["sub"], "now": NOW, "nonce": NONCE}


def verify_as_both(token: str) -> list[Claims]:
    """The claims under which a token is taken: at most one of the two kinds."""
    taken = []
    for method, arguments in (
        (VERIFIER.verify_access_token, {"now": NOW}),
        (VERIFIER.verify_access_token, {"now": NOW, "bearer": True}),
        (VERIFIER.verify_id_token, ID_ARGUMENTS),
    ):
        try:
            taken.append(method(token, **arguments).claims)
        except TokenVerifyError as error:
            assert str(error).isascii() and len(str(error)) < 100
    return taken


def test_every_short_text_is_taken_in_its_one_spelling_alone() -> None:
    alphabet = string.ascii_letters + string.digits + "-_"
    short = ["".join(letters) for size in (1, 2) for letters in itertools.product(alphabet, repeat=size)]
    taken = [text for text in short + ["A" + text for text in short] if is_base64url(text)]
    bytes_of_a = [bytes(pair) for pair in itertools.product(range(4), range(256))]  # whose text begins with A
    canonical = {base64url(bytes([byte])) for byte in range(256)} | {base64url(data) for data in bytes_of_a}
    assert set(taken) == canonical


def is_base64url(text: str) -> bool:
    try:
        _decode_base64url(text)
    except MalformedToken:
        return False
    return True


@given(st.text(alphabet="AQgwZz09-_=+/ \n.é", max_size=12) | st.binary(max_size=40).map(base64url))
@example("")
@example("AA==")
@example("=AAA")
@example("AAA=AAAA")
def test_one_text_alone_stands_for_some_bytes(text: str) -> None:
    try:
        data = _decode_base64url(text)
    except MalformedToken:
        assert text == "" or base64url(decode_tolerantly(text)) != text
    else:
        assert base64url(data) == text


def decode_tolerantly(text: str) -> bytes:
    try:
        return decode(text)
    except ValueError:
        return b""


@given(TEXTS)
@example(GENUINE + "\n")
@example(GENUINE.replace(".", ".\ud800", 1))
@example(".".join(["e30", "e30", "AA"]))
def test_any_text_is_refused_as_a_token(text: str) -> None:
    assert verify_as_both(text) == []


@given(
    header=PARTS
    | st.dictionaries(st.sampled_from([*HEADER, "typ", "crit"]) | st.text(max_size=8), JSON).map(to_bytes)
)
@example(header=to_bytes(HEADER))
def test_any_header_is_refused_but_those_that_name_our_key_and_algorithm(header: bytes) -> None:
    for claims in verify_as_both(signed(header, access_claims())):
        read = json.loads(header)
        assert (read["alg"], read["kid"]) == ("RS256", KID)
        assert claims == access_claims()


@given(claims=PARTS)
def test_any_claims_of_the_pool_alone_are_refused_without_all_that_is_needed(claims: bytes) -> None:
    assert verify_as_both(signed(HEADER, claims)) == []


@given(changes=st.dictionaries(NAMES, JSON | st.just(...), min_size=1, max_size=4), is_id=st.booleans())
@example(changes={"exp": NOW + 1}, is_id=False)
@example(changes={"iat": 10**400}, is_id=True)
@example(changes={"auth_time": float("inf")}, is_id=False)
def test_claims_that_are_taken_hold_what_they_should(changes: dict[str, Any], is_id: bool) -> None:
    claims = (id_claims if is_id else access_claims)(**changes)
    for taken in verify_as_both(signed(HEADER, claims)):
        assert taken == claims
        assert is_as_it_should_be(taken)


def is_as_it_should_be(claims: Claims) -> bool:
    """The rules of design.md §8, written a second time."""
    is_access = claims["token_use"] == "access"
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    return all(
        [
            claims["iss"] == POOL.issuer,
            claims["token_use"] in ("access", "id"),
            claims["client_id" if is_access else "aud"] == POOL.client_id,
            isinstance(claims["sub"], str) and claims["sub"] != "",
            is_access or (claims["sub"], claims["nonce"]) == (ID_ARGUMENTS["sub"], NONCE),
            {"exp", "iat"} <= set(times) and all(type(time) in (int, float) for time in times.values()),
            times["exp"] > NOW,
            times["iat"] <= NOW + 10 and times.get("nbf", 0) <= NOW + 10,
        ]
    )


# the same through the whole gateway

BEARER_CONFIG = POOL.config(bearer_enabled=True, refresh_enabled=True)
OWN_NAMES = [
    "cognito_access_token",
    "cognito_id_token",
    "cognito_refresh_token",
    "cognito_login_0123456789abcdef",
]
HEADER_TEXT = st.binary(max_size=300).map(lambda data: data.decode("latin-1").translate({10: None, 13: None}))
HOSTILE_TOKENS = st.one_of(
    HEADER_TEXT,
    PARTS.map(lambda claims: signed(HEADER, claims)),
    st.sampled_from(["", "..", "null", GENUINE, signed(HEADER, id_claims()), with_signature(FORGED["1"])]),
)
COOKIES = st.tuples(
    st.sampled_from([*OWN_NAMES, *(f"{name}_{n}" for name in OWN_NAMES for n in (0, 1, 9, 10, 99))])
    | HEADER_TEXT,
    st.sampled_from(["=", "", "==", " = ", '="']),
    HOSTILE_TOKENS,
).map("".join)
APPLICATION = Application()
RULES: dict[str, Any] = {"/public": "public", "/recent": {"max_auth_age": 300}}
GATEWAY = validator(CognitoGateway(validator(APPLICATION), BEARER_CONFIG, RULES))


def ask(path: str, kind: dict[str, str], **environ: str) -> tuple[int, dict[str, Any] | None]:
    """The answer's status, and the application's environ if it was reached. (GENUINE is not of this hour.)"""
    APPLICATION.environs.clear()
    builder = EnvironBuilder(path, headers=kind, environ_overrides=environ)
    began = time.perf_counter()
    _, status, _ = run_wsgi_app(GATEWAY, builder.get_environ(), buffered=True)
    assert time.perf_counter() - began < 5
    return int(status[:3]), APPLICATION.environs[0] if APPLICATION.environs else None


def assert_nobody_gets_in(**environ: str) -> None:
    for kind, refusals in ((NAVIGATION, {302, 400, 401}), (FETCH, {400, 401})):
        status, inner = ask("/private", kind, **environ)
        assert status in refusals
        assert inner is None
        status, inner = ask("/public", kind, **environ)
        assert status == 200 and inner is not None
        assert inner["cognito.claims"] is None and inner["cognito.access_token"] is None
        assert not {"REMOTE_USER", "AUTH_TYPE"} & set(inner)


@given(cookie=st.lists(COOKIES, max_size=6).map("; ".join) | HEADER_TEXT)
@example(cookie="cognito_access_token=" + "x" * 70_000)
@example(cookie="cognito_access_token_1=a;" * 3000)
@example(cookie="".join(f"cognito_login_{n}=x;" for n in range(3000)))
def test_no_cookie_header_lets_anybody_in_or_breaks_the_gateway(cookie: str) -> None:
    assert_nobody_gets_in(HTTP_COOKIE=cookie)


@given(
    header=HEADER_TEXT
    | st.tuples(st.sampled_from(["Bearer ", "bearer", "BEARER  ", "Basic "]), HOSTILE_TOKENS).map("".join)
)
@example(header="Bearer " + "x" * 70_000)
@example(header="Bearer a, Bearer b")
@example(header="Bearer\t" + GENUINE)
def test_no_authorization_header_lets_anybody_in_or_breaks_the_gateway(header: str) -> None:
    assert_nobody_gets_in(HTTP_AUTHORIZATION=header)


EXPENSIVE = {
    "lists without end": compact(HEADER, b"[" * 24_000),
    "objects without end": compact(HEADER, b'{"a":' * 4_800),
    "a header without end": compact(b"[" * 24_000, b"{}"),
    "digits without end": compact(HEADER, b'{"exp":' + b"9" * 24_000 + b"}"),
    "names without end": compact(HEADER, to_bytes({f"{n:x}": 0 for n in range(2_400)})),
    "escapes without end": compact(HEADER, b'{"a":"' + rb"\ud800" * 4_000 + b'"}'),
    "fractions without end": compact(HEADER, b'{"exp":0.' + b"1" * 24_000 + b"}"),
    "dots without end": "." * 32_000,
    "blanks without end": compact(b" " * 24_000, b"{}"),
}


@pytest.mark.parametrize("token", [pytest.param(token, id=name) for name, token in EXPENSIVE.items()])
def test_no_token_is_dear_to_refuse(token: str) -> None:
    """Less than a second for twenty: 32 KiB of the worst cost what 32 KiB of anything cost."""
    assert len(token) <= 32 * 1024
    began = time.process_time()
    for _ in range(20):
        with pytest.raises(TokenVerifyError):
            verify(token)
    assert time.process_time() - began < 1
    assert_nobody_gets_in(HTTP_COOKIE=f"cognito_access_token={token}")
    assert_nobody_gets_in(HTTP_AUTHORIZATION=f"Bearer {token}")


@pytest.mark.parametrize(
    ("changes", "is_let_in"),
    [
        pytest.param({}, True, id="as it should be"),
        pytest.param({"auth_time": 10**299}, True, id="auth_time huge"),
        pytest.param({"auth_time": [1]}, True, id="auth_time a list"),
        pytest.param({"deep": [[[[[[[[1]]]]]]]]}, True, id="nested"),
        pytest.param({"auth_time": 1e308, "exp": 1e308}, False, id="exp huge"),
        pytest.param({"username": "\ud800"}, False, id="half a character for a name"),
        pytest.param({"username": ["alice"]}, False, id="a list for a name"),
        pytest.param({"sub": {"a": 1}}, False, id="an object for sub"),
        pytest.param({"cognito:groups": "admin"}, False, id="a text for groups"),
        pytest.param({"scope": {"openid": 1}}, False, id="an object for scope"),
    ],
)
def test_odd_claims_of_the_pool_itself_make_no_error(changes: dict[str, Any], is_let_in: bool) -> None:
    token = POOL.access_token(claims=changes)
    for environ in (
        {"HTTP_COOKIE": f"cognito_access_token={token}"},
        {"HTTP_AUTHORIZATION": f"Bearer {token}"},
    ):
        status, inner = ask("/private", FETCH, **environ)
        assert (status, inner is not None) == ((200, True) if is_let_in else (401, False))


@pytest.mark.parametrize(
    "auth_time",
    [
        pytest.param(10**299, id="huge"),
        pytest.param(-(10**298), id="huge and negative"),
        pytest.param(1e308, id="a huge float"),
        pytest.param(-1e308, id="a huge negative float"),
        pytest.param([1], id="a list"),
        pytest.param({}, id="an object"),
        pytest.param("now", id="a text"),
        pytest.param(None, id="null"),
        pytest.param(True, id="true"),
        pytest.param(..., id="absent"),
    ],
)
def test_odd_auth_time_is_not_recent_and_makes_no_error(auth_time: Any) -> None:
    token = POOL.access_token(claims={"auth_time": auth_time})
    assert ask("/private", FETCH, HTTP_COOKIE=f"cognito_access_token={token}")[0] == 200
    assert ask("/recent", FETCH, HTTP_COOKIE=f"cognito_access_token={token}") == (401, None)
