"""Forked worker processes: locks and calls of the parent mean nothing in a child (gunicorn's preload_app)."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

#: What to call, by whom to call it for. (WeakMethods would complain on stderr when an interpreter ends.)
_methods: weakref.WeakKeyDictionary[object, Callable[[Any], None]] = weakref.WeakKeyDictionary()

#: Held by a thread while it imports a module. No fork happens meanwhile: it would leave the child a module that
#: nobody goes on importing, and whoever wants it would wait for ever.
importing = threading.Lock()


def run_in_forked_children(owner: Any, function: Callable[[Any], None]) -> None:
    """Call ``function(owner)`` in every child that is forked from now on, as long as the owner lives."""
    _methods[owner] = function


def _run_all() -> None:
    for owner, function in list(_methods.items()):
        function(owner)


def _start_child() -> None:
    if importing.locked():  # uWSGI may call this without what belongs before a fork
        importing.release()
    _run_all()


if hasattr(os, "register_at_fork"):  # not where there are no forks
    os.register_at_fork(
        before=importing.acquire, after_in_parent=importing.release, after_in_child=_start_child
    )
