from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from cognito_wsgi.testing import TestPool

EXAMPLES = Path(__file__).parent / "examples"

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(pool: TestPool, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports an example anew, the pool's settings being in the process environment."""
    set_environment(pool, monkeypatch)

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def set_environment(pool: TestPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator would, for CognitoConfig.from_env and for Flask's from_prefixed_env; examples can be imported."""
    for key, value in pool.settings().items():
        monkeypatch.setenv(key, value if isinstance(value, str) else json.dumps(value))
        monkeypatch.setenv(f"FLASK_{key}", json.dumps(value))
    monkeypatch.syspath_prepend(EXAMPLES)


def need(package: str) -> None:
    """Skip the tests of a framework that is not installed. In the project's CI all have to be."""
    if importlib.util.find_spec(package) is None:
        message = f"{package} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message, allow_module_level=True)
