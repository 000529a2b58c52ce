"""Forked worker processes: locks and calls of the parent mean nothing in a child (gunicorn's preload_app)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

_methods: set[weakref.WeakMethod[Callable[[], None]]] = set()


def run_in_forked_children(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked from now on, as long as its object lives."""
    _methods.add(weakref.WeakMethod(method, _methods.discard))


def _run_all() -> None:
    for reference in list(_methods):
        if (method := reference()) is not None:
            method()


if hasattr(os, "register_at_fork"):  # not where there are no forks
    os.register_at_fork(after_in_child=_run_all)
