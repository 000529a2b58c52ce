"""``module:app`` on the command line: the application it names, and the gateway in front of that."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import traceback
from difflib import get_close_matches
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError

if TYPE_CHECKING:
    from .gateway import CognitoGateway


class UsageError(Exception):
    """The command cannot do what was asked; the text says what to do instead. Exit status 2."""


def load_gateway(target: str) -> CognitoGateway:
    """The gateway of an application. Raises UsageError, or ConfigurationError as the application does."""
    return find_gateway_of(load_app(target), target)


def find_gateway_of(app: Any, target: str) -> CognitoGateway:
    from .audit import find_gateway

    gateway = find_gateway(app)
    if gateway is not None:
        return gateway
    if inspect.isfunction(app):
        raise UsageError(
            f"{target} is a function without a gateway in it. If it makes the application, call it: '{target}()'"
        )
    raise UsageError(
        f"there is no CognitoGateway in {target} ({type(app).__name__}). Wrap the application, for Flask with "
        "app.wsgi_app = CognitoGateway(app.wsgi_app, app.config, rules={…}), and name the outermost one here"
    )


def load_app(target: str) -> Any:
    """What ``module:app`` or ``module:factory()`` names, found as gunicorn finds it: from the current directory.

    Arguments of a factory are literals. Raises UsageError, or ConfigurationError as the application does.
    """
    module_name, _, expression = target.partition(":")
    try:
        name, arguments = _parse_expression(expression)
        if not module_name:
            raise ValueError("no module")
    except (SyntaxError, ValueError):
        raise UsageError(
            f"{target!r} names no application; write module:app or module:factory(), such as wsgi:app"
        ) from None
    found = _find_attribute(_import_module(module_name), name)
    if arguments is None:
        return found
    if not callable(found):
        raise UsageError(f"{name} of {module_name} is a {type(found).__name__} and cannot be called")
    positional, named = arguments
    try:
        return found(*positional, **named)
    except ConfigurationError:
        raise
    except Exception as error:
        raise UsageError(f"{target} failed: {_describe(error)}") from error


def _parse_expression(text: str) -> tuple[str, tuple[list[Any], dict[str, Any]] | None]:
    """The attribute's dotted name, and the arguments it is to be called with, if it is.

    Raises SyntaxError or ValueError.
    """
    node: ast.expr = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.Call):
        return _dotted_name(node), None
    positional = [ast.literal_eval(argument) for argument in node.args]
    named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    if len(named) != len(node.keywords):
        raise ValueError("a name twice, or arguments unpacked")
    return _dotted_name(node.func), (positional, named)


def _dotted_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    raise ValueError("neither a name nor an attribute")


def _import_module(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"there is no module {error.name!r}, looking from {here}. Run the command in the directory that holds "
                f"{error.name.partition('.')[0]}, and with the Python that has it"
            ) from None
        raise UsageError(f"importing {name!r} failed: {_describe(error)}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"importing {name!r} failed: {_describe(error)}") from error


def _find_attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(_no_attribute(module, name)) from None
    return found


def _no_attribute(module: ModuleType, name: str) -> str:
    there = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
    own = [known for known in there if getattr(vars(module)[known], "__module__", None) != "builtins"]
    advice = f"it has {', '.join(sorted(own)[:8])}" if own else "nothing in it can be called"
    if close := get_close_matches(name, own, n=1):
        advice = f"do you mean {module.__name__}:{close[0]}?"
    return f"module {module.__name__} has no {name!r}; {advice}"


def _describe(error: BaseException) -> str:
    """The error in a line, with the place in the application's code where it came from."""
    text = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError):
        return f"{text} ({error.filename}, line {error.lineno})"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text} ({frame.filename}, line {frame.lineno})"
