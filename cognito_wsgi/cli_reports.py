"""What the library found out, as reports."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from .check import Status
from .cli_output import Paint, Report, columns, shown
from .explain import Bearer, Cookie, Imagined, describe_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .audit import Audit, AuditedRoute
    from .check import Finding
    from .explain import Explanation, Judged, Visitor


def report_audit(
    audit: Audit, *, fail_on_default: bool, fail_on_public: Sequence[str], paint: Paint
) -> Report:
    """fail_on_public: patterns of the shell's kind, for routes that must not be public."""
    findings = [
        f"{one.method} {shown(one.path)} is served by {one.route} (rules: {', '.join(one.rules_of_route)}), "
        f"and judged by rule {one.rule}"
        for one in audit.divergences
    ]
    if fail_on_default:
        findings += [
            f"{row.methods} {row.route} has no rule of its own" for row in _rows(audit.default_routes)
        ]
    findings += [
        f"{row.methods} {row.route} is public, by rule {row.rule}"
        for row in _rows(audit.public_routes)
        if any(fnmatchcase(row.route, pattern) for pattern in fail_on_public)
    ]
    lines = list(_route_lines(audit, paint))
    if audit.unused_rules:
        lines += ["", f"rules that cover no route: {', '.join(audit.unused_rules)}"]
    if findings:
        lines += ["", *(f"{paint('red', 'found')}  {finding}" for finding in findings)]
    return Report(lines, {**audit.as_dict(), "findings": findings}, int(bool(findings)))


class _Row(NamedTuple):
    """The methods of a route that the same rule covers."""

    methods: str
    route: str
    rule: str
    access: str


def _rows(routes: Iterable[AuditedRoute]) -> list[_Row]:
    methods: dict[tuple[str, str, str], list[str]] = {}
    for one in routes:
        methods.setdefault((one.route, one.rule, one.access), []).append(one.method)
    return [_Row("|".join(names), *covered) for covered, names in methods.items()]


def _route_lines(audit: Audit, paint: Paint) -> Iterator[str]:
    public = set(_rows(audit.public_routes))
    rows = [_Row("method", "route", "rule", "who gets in"), *_rows(audit.routes)]
    for row, (*others, access) in zip(rows, columns(rows), strict=True):
        yield "  ".join((*others, paint("yellow", access) if row in public else access))


_STATUS_COLOURS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}


def report_findings(findings: Sequence[Finding], *, strict: bool, paint: Paint) -> Report:
    """strict: whether a warning counts as found."""
    statuses = {finding.status for finding in findings}
    worst = next((status for status in (Status.FAIL, Status.WARN) if status in statuses), Status.OK)
    rows = [
        (finding.status, finding.check, " → ".join(filter(None, (finding.text, finding.advice))))
        for finding in findings
    ]
    lines = [
        "  ".join((paint(_STATUS_COLOURS[finding.status], status), check, text))
        for finding, (status, check, text) in zip(findings, columns(rows), strict=True)
    ]
    is_found = worst is Status.FAIL or (strict and worst is Status.WARN)
    data = {"status": worst, "checks": [finding._asdict() for finding in findings]}
    return Report(lines, data, int(is_found))


def report_explanation(
    method: str, path: str, visitor: Visitor, explanation: Explanation, *, paint: Paint
) -> Report:
    refusal = explanation.refusal
    lines = [f"request   {method} {shown(path)[1:-1]}", f"visitor   {describe_visitor(visitor)}"]
    lines += _token_lines(explanation, paint)
    lines += [line for judged in explanation.judged for line in _rule_lines(judged)]
    if refusal is not None:
        lines.append(f"decision  {paint('red', f'refused, {refusal.code}')}: {refusal.reason}")
        lines.append(f"answer    {describe_answer(refusal, visitor)}")
    elif explanation.endpoint is not None:
        lines.append(f"decision  {paint('green', 'the gateway answers')}: it {explanation.endpoint}")
    else:
        lines.append(f"decision  {paint('green', 'let in')}")
    data = {
        "method": method,
        "path": path,
        "visitor": describe_visitor(visitor),
        "token": [check._asdict() for check in explanation.token],
        "rules": [_rule_data(judged) for judged in explanation.judged],
        "endpoint": explanation.endpoint,
        "is_let_in": refusal is None,
        "status": refusal.code if refusal is not None else None,
        "reason": refusal.reason if refusal is not None else None,
    }
    return Report(lines, data, int(refusal is not None))


def describe_visitor(visitor: Visitor) -> str:
    match visitor:
        case Imagined():
            groups, scopes = ", ".join(visitor.groups) or "none", " ".join(visitor.scopes) or "none"
            return f"an imagined user, signed in this moment; groups: {groups}; scopes: {scopes}"
        case Bearer():
            return "who sends the token in the Authorization header"
        case Cookie():
            return "who has the token in the session's cookie, and no refresh token"
        case _:
            return "nobody is signed in"


def _token_lines(explanation: Explanation, paint: Paint) -> Iterator[str]:
    marks = {True: ("ok", "green"), False: ("FAIL", "red"), None: ("-", "dim")}
    rows = [(marks[check.is_good][0], check.name, check.detail) for check in explanation.token]
    labels = ["token     ", *["          "] * len(rows)]
    for label, check, (mark, name, detail) in zip(labels, explanation.token, columns(rows), strict=False):
        yield f"{label}{paint(marks[check.is_good][1], mark)}  {name}  {detail}".rstrip()


def _rule_lines(judged: Judged) -> Iterator[str]:
    yield f"path      {shown(judged.path)[1:-1]}"
    yield f"rule      {judged.rule.key}: {judged.rule.access.describe()}"
    if judged.refusal is not None and judged.is_report_only:
        yield f"          reports only; else refused, {judged.refusal.code}: {judged.refusal.reason}"


def _rule_data(judged: Judged) -> dict[str, Any]:
    return {
        "path": judged.path,
        "rule": judged.rule.key,
        "access": judged.rule.access.describe(),
        "is_report_only": judged.is_report_only,
        "refusal": judged.refusal.reason if judged.refusal is not None else None,
    }
