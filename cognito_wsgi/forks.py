"""Forked worker processes: locks and calls of the parent mean nothing in a child (gunicorn's preload_app)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def run_in_forked_children(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked from now on, as long as its object lives."""
    if not hasattr(os, "register_at_fork"):  # no forks on this system
        return
    reference = weakref.WeakMethod(method)

    def run() -> None:
        if (alive := reference()) is not None:
            alive()

    os.register_at_fork(after_in_child=run)
