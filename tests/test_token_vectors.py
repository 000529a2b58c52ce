"""Published examples of signed texts: each is refused at the step that is its own, or its signature is found good.

No published example is a Cognito token, so none is taken as a whole. The keys of the two RS256 examples are
given to the verifier all the same: what refuses them is never that a key is missing.
"""

from __future__ import annotations

from typing import Any

import pytest

from cognito_wsgi.errors import (
    InvalidClaim,
    InvalidSignature,
    MalformedToken,
    TokenVerifyError,
    UnknownKey,
)
from cognito_wsgi.jwks import PublicKey, parse_key_set
from cognito_wsgi.tokens import _prepare

from .forging import NOW, access_claims, compact, decode, no_keys_to_be_had, verifier

JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
BUSINESS = (
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5k"
    "IGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
)
RFC7515_A2_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"
    "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
    "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ"
    "Ge77Rw"
)
RFC7515_A3_SIGNATURE = (
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
RFC7520_RS256 = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
    "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA"
    "78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQ"
    "dLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18"
    "kDquDg",
)
RFC7520_PS384 = (
    "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
    "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcb"
    "UrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8I"
    "mUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-"
    "X72Eaw",
)

#: The public halves of the RSA keys of RFC 7515 §A.2.1 and RFC 7520 §3.3.
JOES_KEY = {
    "kty": "RSA",
    "kid": "joe",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ"
        "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2"
        "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD"
        "TW9gb54h4FRWyuXpoQ"
    ),
    "e": "AQAB",
}
BILBOS_KEY = {
    "kty": "RSA",
    "kid": "bilbo.baggins@hobbiton.example",
    "use": "sig",
    "n": (
        "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2w"
        "qVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bT"
        "wJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5"
        "iaiQkqgc5gHdrNP5zw"
    ),
    "e": "AQAB",
}
KEYS = {"keys": [JOES_KEY, BILBOS_KEY]}


def rfc7520(protected: str, signature: str) -> str:
    return f"{protected}.{BUSINESS}.{signature}"


#: Name, text, and what the refusal says.
REFUSED = [
    (
        "RFC 7515 A.1 HS256",
        f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "alg",
    ),
    ("RFC 7515 A.2 RS256", f"eyJhbGciOiJSUzI1NiJ9.{JOE}.{RFC7515_A2_SIGNATURE}", "kid"),
    ("RFC 7515 A.3 ES256", f"eyJhbGciOiJFUzI1NiJ9.{JOE}.{RFC7515_A3_SIGNATURE}", "alg"),
    ("RFC 7515 A.5 and RFC 7519 6.1 unsecured", f"eyJhbGciOiJub25lIn0.{JOE}.", "alg is not RS256"),
    ("RFC 7515 A.5, with a signature", f"eyJhbGciOiJub25lIn0.{JOE}.AA", "alg"),
    (
        "RFC 7515 A.7 flattened JSON",
        f'{{"payload":"{JOE}","protected":"eyJhbGciOiJFUzI1NiJ9",'
        f'"header":{{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"}},"signature":"{RFC7515_A3_SIGNATURE}"}}',
        "three parts",
    ),
    (
        "RFC 7515 E unknown critical extension",
        "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9V"
        "TkRFRklORUQiOnRydWUNCn0.RkFJTA.",
        "alg is not RS256",
    ),
    ("RFC 7520 4.1 RS256", rfc7520(*RFC7520_RS256), "claims are no JSON"),
    ("RFC 7520 4.2 PS384", rfc7520(*RFC7520_PS384), "alg"),
    (
        "RFC 7520 4.3 ES512",
        rfc7520(
            "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnA"
            "MDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
        ),
        "alg",
    ),
    (
        "RFC 7520 4.4 HS256",
        rfc7520(
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        ),
        "alg",
    ),
    (
        "RFC 7520 4.5 detached",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.."
        "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        "alg is not RS256",
    ),
    (
        "RFC 7797 4.2 unencoded payload",
        "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.$.02.A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY",
        "three parts",
    ),
    (
        "RFC 8037 A.4 EdDSA",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        "alg",
    ),
]


@pytest.mark.parametrize(
    ("text", "reason"), [pytest.param(text, reason, id=name) for name, text, reason in REFUSED]
)
def test_published_example_is_refused_at_its_own_step_and_no_key_is_asked_for(text: str, reason: str) -> None:
    with no_keys_to_be_had() as address:
        for by in (verifier(jwks=KEYS), verifier(jwks=None, jwks_url=address)):
            with pytest.raises(MalformedToken, match=reason):
                by.verify_access_token(text, now=NOW)


SIGNED = [
    pytest.param("joe", f"eyJhbGciOiJSUzI1NiJ9.{JOE}", RFC7515_A2_SIGNATURE, id="RFC 7515 A.2"),
    pytest.param(BILBOS_KEY["kid"], f"{RFC7520_RS256[0]}.{BUSINESS}", RFC7520_RS256[1], id="RFC 7520 4.1"),
]


def key_of(kid: str) -> PublicKey:
    return parse_key_set(KEYS)[kid]


@pytest.mark.parametrize(("kid", "signing_input", "signature"), SIGNED)
def test_published_rs256_signature_is_good_and_no_other_is(
    kid: str, signing_input: str, signature: str
) -> None:
    def fits(text: str, signature: bytes, kid: str = kid) -> Any:
        return _prepare(key_of(kid)).verify(text.encode(), signature)

    good = decode(signature)
    assert fits(signing_input, good) is True
    others = {"joe", BILBOS_KEY["kid"]} - {kid}
    assert not fits(signing_input, good, *others)
    assert not fits(signing_input + "A", good)
    assert not fits(signing_input[:-1], good)
    for place in range(0, len(good), 17):
        assert not fits(signing_input, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    for wrong in (b"", good[:-1], good + b"\0", b"\0" + good, b"\0" * len(good), b"\xff" * len(good)):
        assert not fits(signing_input, wrong)


@pytest.mark.parametrize(
    ("header", "claims", "signature", "error", "reason"),
    [
        pytest.param(
            {"alg": "RS256", "kid": "joe"},
            decode(JOE),
            RFC7515_A2_SIGNATURE,
            InvalidClaim,
            "iss is another issuer",
            id="its own claims",
        ),
        pytest.param(
            {"alg": "RS256", "kid": "joe"},
            access_claims(),
            RFC7515_A2_SIGNATURE,
            InvalidSignature,
            "signature",
            id="our claims",
        ),
        pytest.param(
            {"alg": "RS256", "kid": "frodo"},
            access_claims(),
            RFC7515_A2_SIGNATURE,
            UnknownKey,
            "kid",
            id="our claims, another kid",
        ),
    ],
)
def test_published_signature_makes_no_token_good(
    header: dict[str, str], claims: Any, signature: str, error: type[TokenVerifyError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        verifier(jwks=KEYS).verify_access_token(compact(header, claims, decode(signature)), now=NOW)


def test_pss_signature_of_the_same_key_and_text_is_none_of_ours() -> None:
    protected, signature = RFC7520_PS384
    key = _prepare(key_of(BILBOS_KEY["kid"]))
    assert not key.verify(f"{protected}.{BUSINESS}".encode(), decode(signature))
