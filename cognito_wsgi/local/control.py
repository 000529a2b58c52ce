"""``/_control`` on the issuer host: the pool's switches for those who are not in its process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

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
        except (AttributeError, KeyError, TypeError, ValueError) as err:
            raise BadRequest(f"{type(err).__name__}: {err}") from err
        return control()

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> tuple[Response, int]:
        return jsonify({"error": error.description}), error.code or 500


def _carry_out(state: PoolState, order: Mapping[str, object]) -> None:
    if "action" not in order:
        for switch, value in order.items():
            setattr(state.trouble, switch, value)
        return
    arguments = {name: value for name, value in order.items() if name != "action"}
    _ACTIONS[str(order["action"])](state, **arguments)


def _rotate_keys(state: PoolState, keep_old: bool = True) -> None:
    state.keys.rotate(keep_old=keep_old)


def _set_groups(state: PoolState, username: str, groups: list[str]) -> None:
    state.set_groups(username, tuple(groups))


_ACTIONS: Mapping[str, Callable[..., None]] = {
    "clear": lambda state: state.trouble.clear(),
    "rotate_keys": _rotate_keys,
    "drop_keys": lambda state: state.keys.drop_old(),
    "revoke_all": lambda state, username: state.store.revoke_user(username),
    "set_groups": _set_groups,
    "reset_calls": lambda state: state.calls.clear(),
}
