"""The command ``cognito-wsgi``: what a person asks of a gateway that serves nobody yet.

What a command needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .cli_app import UsageError, find_gateway_of, load_app, load_gateway
from .cli_output import Paint, Report
from .errors import ConfigurationError

if TYPE_CHECKING:
    from .explain import Visitor

USAGE = 2
INTERRUPTED = 130
MAX_TOKEN_TEXT = 64 * 1024  # characters read from standard input

_TARGET_HELP = "the application as gunicorn names it: module:app or module:factory()"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        if arguments[:1] == ["local"]:  # argparse would take its options for ours
            return run_local(arguments[1:])
        options = _parser().parse_args(arguments)
        return _print(options.run(options), as_json=options.json)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
    except ConfigurationError as error:
        print(
            "error: the configuration of the application is wrong",
            *error.problems,
            sep="\n  ",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    return USAGE


def _print(report: Report, *, as_json: bool) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    text = json.dumps(report.data, indent=2) if as_json else "\n".join(report.lines)
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader has seen enough; spare him the complaint at exit, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cognito-wsgi",
        description="Look at an application behind cognito_wsgi, and at its user pool.",
        epilog="Exit status: 0 for fine, 1 if something was found, 2 if the command could not do its work.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_routes(commands)
    _add_explain(commands)
    _add_check(commands)
    commands.add_parser("local", help="serve a user pool on this machine, for development", add_help=False)
    return parser


class _Version(argparse.Action):
    """As argparse's own, but looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"cognito-wsgi {version('cognito-wsgi')}")
        parser.exit()


def _add_command(commands: Any, name: str, run: Any, *, summary: str, description: str) -> Any:
    command = commands.add_parser(name, help=summary, description=description)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command


# routes


def _add_routes(commands: Any) -> None:
    command = _add_command(
        commands,
        "routes",
        run_routes,
        summary="who gets in at each route of the application",
        description="Compare the route map with the application's own routes. Exit status 1 if the application's "
        "router takes a path to a route that another rule covers, or one of the options below finds something.",
    )
    command.add_argument("app", help=_TARGET_HELP)
    command.add_argument(
        "--fail-on-default", action="store_true", help="find the routes that no rule of their own covers"
    )
    command.add_argument(
        "--fail-on-public",
        action="append",
        default=[],
        metavar="PATTERN",
        help="find the public routes that match, such as '/api/*'; * stands for slashes, too; may be repeated",
    )


def run_routes(options: argparse.Namespace) -> Report:
    from .audit import audit
    from .cli_reports import report_audit

    app = load_app(options.app)
    gateway = find_gateway_of(app, options.app)
    try:
        found = audit(app, gateway)
    except ConfigurationError as error:
        raise UsageError("; ".join(error.problems)) from None
    return report_audit(
        found,
        fail_on_default=options.fail_on_default,
        fail_on_public=options.fail_on_public,
        paint=Paint(sys.stdout),
    )


# explain


def _add_explain(commands: Any) -> None:
    command = _add_command(
        commands,
        "explain",
        run_explain,
        summary="why a request is let in or refused",
        description="Ask the gateway what it makes of a request. Exit status 1 if it refuses.",
    )
    command.add_argument("app", help=_TARGET_HELP)
    command.add_argument("method", help="such as GET")
    command.add_argument("path", help="as in an address, percent-encoded; what follows a ? is not judged")
    visitor = command.add_mutually_exclusive_group()
    visitor.add_argument(
        "--groups", metavar="A,B", help="judge an imagined user who is a member; '' for a user without groups"
    )
    visitor.add_argument(
        "--token-stdin", action="store_true", help="judge who has the access token on standard input"
    )
    command.add_argument(
        "--scopes", metavar="A,B", help="scopes of the imagined user's token (default: openid)"
    )
    command.add_argument(
        "--claims", metavar="JSON", help="further claims of the imagined user's token, as a JSON object"
    )
    command.add_argument(
        "--bearer", action="store_true", help="the token comes in the Authorization header, not in a cookie"
    )
    command.add_argument(
        "--script-name", default="", metavar="PREFIX", help="where the application is mounted, such as /shop"
    )


def run_explain(options: argparse.Namespace) -> Report:
    from .cli_reports import report_explanation
    from .errors import TokenVerifyError
    from .explain import explain, path_info_of

    if not re.fullmatch(r"[A-Za-z-]+", options.method):
        raise UsageError(
            f"{options.method!r} is no method; write the method first, then the path: GET /admin"
        )
    visitor = _parse_visitor(options)
    gateway = load_gateway(options.app)
    path = re.sub(r"^https?://[^/?#]*", "", options.path)
    path_info = path_info_of(os.fsencode(re.split("[?#]", path)[0]))
    try:
        explanation = explain(
            gateway, options.method.upper(), path_info, visitor, script_name=path_info_of(options.script_name)
        )
    except TokenVerifyError as error:
        raise UsageError(f"no token of this pool has such claims: {error.reason}") from None
    return report_explanation(
        options.method.upper(), options.path, visitor, explanation, paint=Paint(sys.stdout)
    )


def _parse_visitor(options: argparse.Namespace) -> Visitor:
    from .explain import Bearer, Cookie, Imagined

    is_imagined = any(value is not None for value in (options.groups, options.scopes, options.claims))
    if options.token_stdin:
        if is_imagined:
            raise UsageError("a token has its own groups, scopes and claims; leave --scopes and --claims out")
        return (Bearer if options.bearer else Cookie)(_read_token())
    if options.bearer:
        raise UsageError("--bearer says how a token comes; give one with --token-stdin")
    if not is_imagined:
        return None
    scopes = ("openid",) if options.scopes is None else _split(options.scopes)
    return Imagined(_split(options.groups or ""), scopes, _parse_claims(options.claims or "{}"))


def _split(names: str) -> tuple[str, ...]:
    return tuple(name for name in re.split(r"[\s,]+", names) if name)


def _parse_claims(text: str) -> dict[str, Any]:
    try:
        claims = json.loads(text)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise UsageError("""--claims takes a JSON object, such as '{"email_verified": true}'""")
    return claims


def _read_token() -> str:
    """The one word on standard input. Whatever else it holds is not repeated: it may be a secret."""
    try:
        words = sys.stdin.read(MAX_TOKEN_TEXT).split()
    except UnicodeDecodeError:
        words = []
    if len(words) != 1 or not re.fullmatch(r"[!-:<-~]+", words[0]):  # a semicolon would end the cookie
        raise UsageError("standard input has to hold an access token and nothing else, not even 'Bearer'")
    return words[0]


# check


def _add_check(commands: Any) -> None:
    command = _add_command(
        commands,
        "check",
        run_check,
        summary="whether a configuration is going to work",
        description="Compare the settings with the user pool, asking it what the gateway would ask. "
        "Exit status 1 if a check fails.",
    )
    source = command.add_mutually_exclusive_group()
    source.add_argument("app", nargs="?", help=_TARGET_HELP)
    source.add_argument(
        "--env", action="store_true", help="the settings in the process environment (default)"
    )
    command.add_argument("--strict", action="store_true", help="exit status 1 for a warning, too")


def run_check(options: argparse.Namespace) -> Report:
    import logging

    from .check import check_config, failed_settings
    from .cli_reports import report_findings
    from .config import CognitoConfig

    # What the library would warn of is in the report.
    logging.getLogger("cognito_wsgi").addHandler(logging.NullHandler())
    try:
        config = load_gateway(options.app).config if options.app else CognitoConfig.from_env()
    except ConfigurationError as error:
        findings = failed_settings(error)
    else:
        findings = check_config(config)
    return report_findings(findings, strict=options.strict, paint=Paint(sys.stdout))


# local


def run_local(arguments: Sequence[str]) -> int:
    try:
        from .local.__main__ import main as serve
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the local user pool needs {error.name}, which is not installed: pip install 'cognito-wsgi[local]'"
        ) from None
    return serve(arguments)
