"""Trouble on demand: the switches that make the pool behave badly. ``bad_answers`` has the answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

#: What may be wrong with an endpoint's answer.
KINDS = ("429", "503", "500", "html", "garbage", "slow", "drip", "huge", "redirect", "empty", "close")

#: The endpoints that have a switch of their own.
ENDPOINTS = ("jwks", "token", "revoke")


@dataclass
class Trouble:
    """The switches. Set one and the pool misbehaves from the next request on.

    jwks, token, revoke: how that endpoint answers, one of ``KINDS``; None for as it should.
        "html", "garbage" (no JSON) and "empty" (JSON without content) come with status 200;
        "slow" is a good answer ``delay`` seconds late; "drip" sends a byte every 0.2 seconds
        for ever; "huge" is 64 MiB of text; "redirect" leads to another address of the pool;
        "close" hangs up without a word.
    delay: seconds.
    access_token_lifetime, id_token_lifetime: seconds.
    rotation: every refresh brings a new refresh token and ends the old one.
    rotation_grace: seconds for which the old one still works (0 to 60 in Cognito).
    omit_state_in_errors: error redirects of the authorize endpoint come without ``state``.
    ignore_prompt: as the classic hosted UI does.
    clock_ahead: seconds by which the pool's clock is ahead: tokens and the Date header.
    omit_id_token: the token endpoint sends none. omit_nonce: ID tokens come without.
    authorize_error: every request at the authorize endpoint is sent back with this ``error``.

    Raises AttributeError for a switch that does not exist, ValueError for a value it cannot have.
    """

    jwks: str | None = None
    token: str | None = None
    revoke: str | None = None
    delay: float = 10.0
    access_token_lifetime: int = 3600
    id_token_lifetime: int = 3600
    rotation: bool = False
    rotation_grace: int = 0
    omit_state_in_errors: bool = False
    ignore_prompt: bool = False
    clock_ahead: int = 0
    omit_id_token: bool = False
    omit_nonce: bool = False
    authorize_error: str | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _DEFAULTS:
            raise AttributeError(f"there is no switch {name!r}; there are {', '.join(_DEFAULTS)}")
        if name in ENDPOINTS and value not in (None, *KINDS):
            raise ValueError(f"{name} cannot be {value!r}; it can be None or {', '.join(KINDS)}")
        if not _is_like(_DEFAULTS[name], value):
            raise ValueError(f"{name} cannot be {value!r}; its default is {_DEFAULTS[name]!r}")
        super().__setattr__(name, value)

    def clear(self) -> None:
        """Everything as it should be again."""
        for name, default in _DEFAULTS.items():
            setattr(self, name, default)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def kind_for(self, endpoint: str | None) -> str | None:
        """What is wrong with an endpoint just now."""
        return getattr(self, endpoint) if endpoint in ENDPOINTS else None


_DEFAULTS: dict[str, object] = {switch.name: switch.default for switch in fields(Trouble)}


def _is_like(default: object, value: object) -> bool:
    if default is None:
        return value is None or isinstance(value, str)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, int if isinstance(default, int) else int | float)
