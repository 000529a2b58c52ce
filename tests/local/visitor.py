"""A browser and the application behind it, as the pool sees them: what the tests here share."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from cognito_wsgi.local import Client, LocalUserPool, submit_sign_in

CALLBACK = "http://localhost:5000/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Visitor:
    """One browser (its cookies) that signs in to one client, and that client's calls to the pool."""

    def __init__(self, pool: LocalUserPool, client: str = "web") -> None:
        self.pool = pool
        self.client: Client = pool.client(client)
        self.http = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.http.close()

    def get(self, path: str, **parameters: str) -> requests.Response:
        return self.http.get(self.pool.domain + path, params=parameters, allow_redirects=False, timeout=10)

    def post(self, path: str, data: dict[str, str]) -> requests.Response:
        return self.http.post(self.pool.domain + path, data=data, allow_redirects=False, timeout=10)

    def request(self, **changes: str | None) -> dict[str, str]:
        """The parameters of a good authorize request; None takes one away."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (parameters | changes).items() if value is not None}

    def authorize(self, **changes: str | None) -> requests.Response:
        return self.get("/oauth2/authorize", **self.request(**changes))

    def login_path(self, page: str = "/login", **changes: str | None) -> str:
        return f"{page}?{urlencode(self.request(**changes))}"

    def sign_in(self, username: str = "alice", **changes: str | None) -> requests.Response:
        response = self.authorize(**changes)
        return submit_sign_in(self.http, response, username, f"{username}-password")

    def code(self, username: str = "alice", **changes: str | None) -> str:
        return answer(self.sign_in(username, **changes))["code"]

    def redeem(self, code: str, /, **changes: str | None) -> requests.Response:
        parameters = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER} | changes
        return self.token("authorization_code", **parameters)

    def token(self, grant_type: str, /, **parameters: str | None) -> requests.Response:
        """A call to the token endpoint, with the client's own way to prove itself."""
        body = {"grant_type": grant_type} | {k: v for k, v in parameters.items() if v is not None}
        return self.call("/oauth2/token", body)

    def refresh(self, refresh_token: str, **parameters: str) -> requests.Response:
        return self.token("refresh_token", refresh_token=refresh_token, **parameters)

    def revoke(self, token: str) -> requests.Response:
        return self.call("/oauth2/revoke", {"token": token})

    def call(self, path: str, body: dict[str, str]) -> requests.Response:
        if self.client.client_secret is None:
            return post(self.pool.domain + path, body | {"client_id": self.client.client_id})
        return post(self.pool.domain + path, body, auth=(self.client.client_id, self.client.client_secret))


def post(url: str, body: dict[str, str], **more: Any) -> requests.Response:
    return requests.post(url, data=body, allow_redirects=False, timeout=10, **more)


def answer(response: requests.Response) -> dict[str, str]:
    """What a redirect tells the application."""
    assert response.status_code == 302, response.text
    location = response.headers["Location"]
    assert location.startswith(CALLBACK), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def parts(token: str) -> tuple[str, str]:
    """The JSON texts of a token's header and claims, as they were signed."""
    header, claims, _ = token.split(".")
    return decode(header).decode(), decode(claims).decode()


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(parts(token)[1])
    return claims


def header_of(token: str) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(parts(token)[0])
    return header


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
