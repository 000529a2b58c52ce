"""Break the code as the lists say, run the tests, tell what nobody noticed: see ``tests/breaks/__init__.py``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN_LIMIT = 300  # seconds, for one run of a test module
TEST_LIMIT = 60  # seconds, for one test


class CannotRun(Exception):
    """The tests could not be run to their end."""


@dataclass(frozen=True)
class Edit:
    file: str
    was: str
    becomes: str

    def path(self, root: Path) -> Path:
        return root / "cognito_wsgi" / self.file

    def apply(self, text: str) -> str:
        if (count := text.count(self.was)) != 1:
            raise CannotRun(f"what it was occurs {count} times in {self.file}")
        return text.replace(self.was, self.becomes)


@dataclass(frozen=True, kw_only=True)
class Break(Edit):
    what: str
    only: Sequence[str] = ()
    hangs: bool = False
    also: Sequence[Mapping[str, str]] = ()

    @contextmanager
    def applied(self, root: Path) -> Iterator[None]:
        edits = [self, *(Edit(**edit) for edit in self.also)]
        before = {edit.path(root): edit.path(root).read_text("utf-8") for edit in edits}
        try:
            for edit in edits:
                edit.path(root).write_text(edit.apply(edit.path(root).read_text("utf-8")), "utf-8")
            yield
        finally:
            for path, text in before.items():
                path.write_text(text, "utf-8")


@dataclass(frozen=True)
class Module:
    """A test module and the breaks of its list."""

    name: str  # "test_tokens", "local/test_pool"
    breaks: Sequence[Break]
    never: Mapping[str, str]

    @classmethod
    def read(cls, root: Path, name: str) -> Module:
        table = tomllib.loads((root / "tests/breaks" / f"{name}.toml").read_text("utf-8"))
        return cls(name, [Break(**row) for row in table.pop("break")], **({"never": {}} | table))


@dataclass
class Outcomes:
    """The tests of one run, by what became of them."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    not_set_up: list[str] = field(default_factory=list)  # which tells nothing about what they claim


def find_modules(root: Path) -> list[str]:
    folder = root / "tests/breaks"
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.toml"))


def run_tests(copy: Path, module: str, only: Sequence[str] = ()) -> Outcomes:
    """Run the tests of the copy, in a process that ends with all it started."""
    report, output, scratch = (copy.parent / name for name in ("report", "output", "scratch"))
    report.write_text("")
    scratch.mkdir(exist_ok=True)
    file = f"tests/{module}.py"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", f"--timeout={TEST_LIMIT}"]
    command += ["-p", "no:cacheprovider", "-p", "tests.breaks"]
    environment = {
        **os.environ,
        "BREAKS_REPORT": str(report),
        "HYPOTHESIS_PROFILE": "breaks",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(copy),
        "TMPDIR": str(scratch),
    }
    with output.open("w") as out:
        process = subprocess.Popen(
            [*command, *([f"{file}::{test}" for test in only] or [file])],
            cwd=copy,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            status = process.wait(RUN_LIMIT)
        except subprocess.TimeoutExpired:
            raise CannotRun(f"timed out after {RUN_LIMIT} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status not in (0, 1):
        raise CannotRun(f"pytest ended with {status}\n{output.read_text('utf-8')[-2000:]}")
    outcomes = Outcomes()
    for name, when, outcome in map(json.loads, report.read_text("utf-8").splitlines()):
        if outcome == "hung":
            outcomes.hung.append(name)
        elif outcome == "failed":
            (outcomes.not_set_up if when == "setup" else outcomes.failed).append(name)
        elif outcome == "passed" and when == "call":
            outcomes.passed.append(name)
    return outcomes


def show(cases: Sequence[str]) -> str:
    """The cases, counted by their tests."""
    counts = Counter(case.partition("[")[0] for case in cases)
    return ", ".join(name + f" ({count})" * (count > 1) for name, count in counts.items()) or "nobody"


def try_module(copy: Path, module: Module) -> list[str]:
    """Apply one break after the other; what is wrong with the list or the tests."""
    began = time.monotonic()
    print(f"\n{module.name}", flush=True)
    try:
        whole = run_tests(copy, module.name)
    except CannotRun as error:
        return [f"{module.name}, unbroken: {error}"]
    cases = whole.passed
    problems = [
        f"{module.name}, unbroken: fails: {case}" for case in whole.failed + whole.hung + whole.not_set_up
    ]
    noticed: set[str] = set()
    for each in module.breaks:
        try:
            with each.applied(copy):
                outcomes = run_tests(copy, module.name, each.only)
        except CannotRun as error:
            problems.append(f"{module.name}: {each.what}: {error}")
            print(f"  {each.what}: {str(error).splitlines()[0]}", flush=True)
            continue
        by = [case for case in cases if case in outcomes.failed or (each.hangs and case in outcomes.hung)]
        noticed.update(by)
        print(f"  {each.what}: {show(by)}", flush=True)
        if not by:
            problems.append(f"{module.name}: nobody noticed: {each.what}")
            problems[-1] += f" (not set up: {show(outcomes.not_set_up)})" * bool(outcomes.not_set_up)
        if outcomes.hung and not each.hangs:
            problems.append(f"{module.name}: {each.what}: timed out: {show(outcomes.hung)}")
    silent = [case for case in cases if case not in noticed]
    excused = {case for case in silent if {case, case.partition("[")[0]} & set(module.never)}
    problems += [f"{module.name}: never failed: {case}" for case in silent if case not in excused]
    used = excused | {case.partition("[")[0] for case in excused}
    problems += [f"{module.name}: said never to fail: {name}" for name in module.never if name not in used]
    tests = {case.partition("[")[0] for case in cases}
    seconds = time.monotonic() - began
    print(
        f"  {len(module.breaks)} breaks, {len(tests)} tests, {len(cases)} cases, {seconds:.0f} s", flush=True
    )
    return problems


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.breaks", description=__doc__)
    parser.add_argument("modules", nargs="*", help="test_tokens, local/test_pool, …; all that have a list")
    parser.add_argument("--list", action="store_true", help="show the breaks, run nothing")
    options = parser.parse_args(arguments)
    modules = [Module.read(root, name) for name in options.modules or find_modules(root)]
    if options.list:
        for module in modules:
            print(*(f"{module.name}: {each.file}: {each.what}" for each in module.breaks), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        copy = Path(folder).resolve() / "copy"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info"))
        problems = [problem for module in modules for problem in try_module(copy, module)]
    print("\n" + ("\n".join(problems) or "Every break was noticed, and every test failed once."))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
