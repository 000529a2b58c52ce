"""``/_control`` on the issuer host: the pool's switches for those who are not in its process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

from .directory import User
from .state import PoolState


def add_control(app: Flask, state: PoolState) -> None:
    @app.get("/_control")
    def control() -> Response:
        """The switches and the counters."""
        return jsonify({"switches": state.trouble.as_dict(), "calls": state.calls})

    @app.post("/_control")
    def change_control() -> Response:
        """Set the switches that a JSON object names, or do its ``action``; answer as GET does."""
        if request.mimetype != "application/json":  # which no form of another page can send
            raise UnsupportedMediaType("The control endpoint takes application/json.")
        order = request.get_json()
        if not isinstance(order, dict):
            raise BadRequest("A JSON object is expected.")
        try:
            _carry_out(state, order)
        except KeyError as err:
            raise BadRequest(f"unknown or missing: {err}") from err
        except (TypeError, ValueError) as err:
            raise BadRequest(str(err)) from err
        return control()

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> tuple[Response, int]:
        return jsonify({"error": error.description}), error.code or 500


def _carry_out(state: PoolState, order: Mapping[str, object]) -> None:
    if "action" in order:
        _ACTIONS[str(order["action"])](state, order)
        return
    replace(state.trouble, **order)  # type: ignore[arg-type]  # refuses what cannot be, before anything is set
    for switch, value in order.items():
        setattr(state.trouble, switch, value)


def _add_user(state: PoolState, order: Mapping[str, object]) -> None:
    user = User(
        username=_text(order, "username"), password=_text(order, "password"), groups=_texts(order, "groups")
    )
    state.add_user(user)


_ACTIONS: Mapping[str, Callable[[PoolState, Mapping[str, object]], None]] = {
    "clear": lambda state, order: state.trouble.clear(),
    "reset_calls": lambda state, order: state.calls.clear(),
    "rotate_keys": lambda state, order: state.keys.rotate(keep_old=order.get("keep_old") is not False),
    "drop_keys": lambda state, order: state.keys.drop_old(),
    "add_user": _add_user,
    "set_groups": lambda state, order: state.set_groups(_text(order, "username"), _texts(order, "groups")),
    "revoke_all": lambda state, order: state.store.revoke_user(_text(order, "username")),
}


def _text(order: Mapping[str, object], key: str) -> str:
    value = order[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text")
    return value


def _texts(order: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = order.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} must be a list of texts")
    return tuple(value)
