"""Keys of our own: what is sealed opens, for its purpose and client alone, and nothing else does."""

from __future__ import annotations

import base64

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import assume, given
from hypothesis import strategies as st

from cognito_wsgi.seals import MAX_SEALED_LENGTH, Seal, pack_refresh_token, unpack_refresh_token
from cognito_wsgi.testing import TestPool

NOW = 1_790_000_000
KEYS = [f"secret key number {number}" for number in range(3)]


def seal(purpose: str = "refresh", *keys: str, **overrides: object) -> Seal:
    first, *others = keys or KEYS[:1]
    settings = {"secret_key": first, "secret_key_fallbacks": tuple(others), **overrides}
    return Seal(TestPool().config(**settings), purpose)


OURS = seal()
SEALED = OURS.seal(b"a value to be kept", NOW)


@given(st.binary(max_size=4000), st.integers(0, 2**33))
def test_what_is_sealed_opens(data, now):
    sealed = OURS.seal(data, now)
    assert OURS.open(sealed, max_age=60, now=now) == (data, now)
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.integers(0, len(SEALED) - 1), st.characters(max_codepoint=0x2FF))
def test_any_changed_byte_stays_shut(position, character):
    assume(SEALED[position] != character)
    changed = SEALED[:position] + character + SEALED[position + 1 :]
    assert OURS.open(changed, max_age=60, now=NOW) is None


@given(st.integers(0, len(SEALED)), st.integers(0, len(SEALED)), st.text(max_size=3))
def test_nothing_put_in_or_taken_out_opens(start, end, text):
    changed = SEALED[:start] + text + SEALED[end:]
    assume(changed != SEALED)
    assert OURS.open(changed, max_age=60, now=NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("=" * 4, id="padding"),
        pytest.param(f"{SEALED}=", id="padded"),
        pytest.param(f"{SEALED}{'=' * (-len(SEALED) % 4)}", id="padded as base64 is"),
        pytest.param(f" {SEALED}", id="space in front"),
        pytest.param(f"{SEALED}\n", id="line feed behind"),
        pytest.param(SEALED.replace("-", "+").replace("_", "/") + "/", id="the other alphabet"),
        pytest.param("é" * 100, id="not ASCII"),
        pytest.param("\ud800" * 100, id="half a character"),
        pytest.param(OURS.seal(bytes(MAX_SEALED_LENGTH), NOW), id="too long"),
        pytest.param("A" * MAX_SEALED_LENGTH, id="as long as may be"),
        pytest.param("\x00" * 100, id="zeros"),
    ],
)
def test_garbage_stays_shut(text):
    assert OURS.open(text, max_age=60, now=NOW) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(seal("login"), id="purpose"),
        pytest.param(seal(client_id="anotherclient0000000000000"), id="client"),
        pytest.param(
            seal(issuer="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AnotherP0"), id="issuer"
        ),
        pytest.param(seal("refresh", KEYS[1]), id="key"),
        pytest.param(seal("refresh", KEYS[1], KEYS[2]), id="key and fallback"),
    ],
)
def test_what_is_sealed_for_one_is_worthless_for_another(other):
    assert other.open(SEALED, max_age=60, now=NOW) is None
    assert OURS.open(other.seal(b"value", NOW), max_age=60, now=NOW) is None


def test_any_machine_with_the_same_key_opens_it():
    assert seal().open(SEALED, max_age=60, now=NOW) == (b"a value to be kept", NOW)


@pytest.mark.parametrize("key", [KEYS[0], KEYS[0].encode()], ids=["text", "bytes"])
def test_a_key_may_be_text_or_bytes(key):
    assert seal("refresh", secret_key=key).open(SEALED, max_age=60, now=NOW) is not None


def test_the_form_is_fernet_under_hkdf_and_stays_so():
    """A later version that changes it signs everybody out."""
    issuer = b"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_TestPool0"
    info = b"cognito_wsgi/1\0refresh\0" + issuer + b"\0testclient0000000000000000"
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(KEYS[0].encode())
    fernet = Fernet(base64.urlsafe_b64encode(key))
    assert fernet.decrypt(SEALED + "=" * (-len(SEALED) % 4)) == b"a value to be kept"
    elsewhere = fernet.encrypt_at_time(b"another value", NOW).decode().rstrip("=")
    assert OURS.open(elsewhere, max_age=60, now=NOW) == (b"another value", NOW)


# rotation of SECRET_KEY


def test_a_new_key_opens_what_the_old_ones_have_sealed():
    rotated = seal("refresh", KEYS[2], KEYS[1], KEYS[0])
    assert rotated.open(SEALED, max_age=60, now=NOW) is not None
    assert rotated.open(seal("refresh", KEYS[1]).seal(b"value", NOW), max_age=60, now=NOW) is not None


def test_the_newest_key_seals():
    sealed = seal("refresh", KEYS[1], KEYS[0]).seal(b"value", NOW)
    assert seal("refresh", KEYS[1]).open(sealed, max_age=60, now=NOW) is not None
    assert OURS.open(sealed, max_age=60, now=NOW) is None


def test_a_dropped_key_opens_nothing():
    assert seal("refresh", KEYS[1], KEYS[2]).open(SEALED, max_age=60, now=NOW) is None


# age


@pytest.mark.parametrize(
    ("age", "opens"),
    [
        pytest.param(0, True, id="new"),
        pytest.param(600, True, id="at its age"),
        pytest.param(600.9, True, id="in its last second"),
        pytest.param(601, False, id="a second later"),
        pytest.param(86400, False, id="a day later"),
        pytest.param(-60, True, id="from a clock a minute ahead"),
        pytest.param(-61, False, id="from the future"),
    ],
)
def test_a_value_is_good_until_its_age_by_its_own_timestamp(age, opens):
    assert (OURS.open(SEALED, max_age=600, now=NOW + age) is not None) is opens


# refresh tokens in a small space

TOKENS = st.one_of(
    st.text("ABCxyz019-_.=+/~", min_size=1, max_size=300),
    st.lists(
        st.binary(max_size=300).map(lambda part: base64.urlsafe_b64encode(part).rstrip(b"=").decode())
    ).map(".".join),
    st.text(max_size=30),
)


@given(TOKENS, st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_packed_refresh_token_comes_out_as_it_was(token, sub):
    assert unpack_refresh_token(pack_refresh_token(token, sub)) == (token, sub)


def test_a_part_too_long_for_its_length_is_packed_as_text():
    token = "A" * 100_000
    assert unpack_refresh_token(pack_refresh_token(token, "sub")) == (token, "sub")


def test_a_token_of_base64url_parts_is_not_encoded_twice():
    """Cognito's are (a compact JWE of some 1,800 characters): a quarter of the cookie is saved."""
    parts = [base64.urlsafe_b64encode(bytes(size)).rstrip(b"=").decode() for size in (45, 256, 12, 1010, 16)]
    token = ".".join(parts)
    assert len(pack_refresh_token(token, "s" * 36)) < 0.8 * len(token)
    assert len(OURS.seal(pack_refresh_token(token, "s" * 36), NOW)) < 1.1 * len(token)


def test_no_key_is_shown():
    assert repr(OURS) == "Seal()"
