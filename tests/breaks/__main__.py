"""Break the code as the lists say, run the tests, tell what nobody noticed and which tests never failed."""

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
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from .lists import Break, BreakList, DoesNotApply, find_modules

ROOT = Path(__file__).resolve().parents[2]
TEST_LIMIT = 60  # seconds, for one test


class CannotRun(Exception):
    """The tests could not be run to their end."""


class Runner:
    """Runs the tests of a copy of the project."""

    def __init__(self, copy: Path, limit: float) -> None:
        self.copy = copy
        self.limit = limit  # seconds

    def run(self, module: str, only: Sequence[str] = ()) -> dict[str, str]:
        """What became of each test of the module; all that they started has ended."""
        report, output, scratch = (self.copy.parent / name for name in ("report", "output", "scratch"))
        report.write_text("")
        scratch.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "BREAKS_REPORT": str(report),
            "HYPOTHESIS_PROFILE": "breaks",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.copy),
            "TMPDIR": str(scratch),
        }
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", f"--timeout={TEST_LIMIT}"]
        command += ["-p", "no:cacheprovider", "-p", "tests.breaks"]
        command += [f"tests/{module}.py::{test}" for test in only] or [f"tests/{module}.py"]
        with output.open("w") as out:
            process = subprocess.Popen(
                command, cwd=self.copy, env=environment, stdout=out, stderr=out, start_new_session=True
            )
            try:
                status = process.wait(self.limit)
            except subprocess.TimeoutExpired:
                raise CannotRun(f"timed out after {self.limit:g} s") from None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise CannotRun(f"pytest ended with {status}\n{output.read_text('utf-8')[-2000:]}")
        return dict(map(json.loads, report.read_text("utf-8").splitlines()))

    def try_break(self, module: str, each: Break) -> tuple[list[str], str]:
        """The cases that notice it, and what is wrong with that."""
        try:
            with each.applied(self.copy):
                outcomes = self.run(module, each.only)
        except (CannotRun, DoesNotApply) as error:
            return [], str(error)
        noticed = [case for case, outcome in outcomes.items() if outcome in ("failed", "hung")]
        hung = [case for case, outcome in outcomes.items() if outcome == "hung"]
        if hung and not each.hangs:
            return noticed, f"timed out: {show(hung)}"
        return noticed, "" if noticed else f"nobody noticed ({show(outcomes.values())})"

    def try_list(self, breaks: BreakList, match: str = "") -> Iterator[str]:
        """Apply one break after the other; what is wrong with the list or with the tests."""
        began = time.monotonic()
        print(f"\n{breaks.module}", flush=True)
        try:
            unbroken = self.run(breaks.module)
        except CannotRun as error:
            yield f"cannot run: {error}"
            return
        passed = [case for case, outcome in unbroken.items() if outcome == "passed"]
        yield from (
            f"fails unbroken: {case}" for case in unbroken if unbroken[case] not in ("passed", "skipped")
        )
        tried = [each for each in breaks.breaks if match in each.what]
        failed: set[str] = set()
        for each in tried:
            noticed, problem = self.try_break(breaks.module, each)
            failed.update(noticed)
            print(f"  {each.what}: {problem.partition(chr(10))[0] or show(noticed)}", flush=True)
            if problem:
                yield f"{each.what}: {problem}"
        if not match:
            yield from unexplained([case for case in passed if case not in failed], breaks.never)
        tests = {case.partition("[")[0] for case in passed}
        seconds = time.monotonic() - began
        print(f"  {len(tried)} breaks, {len(tests)} tests, {len(passed)} cases, {seconds:.0f} s")


def show(names: Collection[str]) -> str:
    """Names without what tells their cases, each with its number of cases."""
    counts = Counter(name.partition("[")[0] for name in names)
    return ", ".join(name + f" ({count})" * (count > 1) for name, count in counts.items())


def unexplained(never_failed: Sequence[str], never: Collection[str]) -> Iterator[str]:
    """The cases that never failed, unless they or their tests are said not to; and what is said of others."""
    for case in never_failed:
        if case not in never and case.partition("[")[0] not in never:
            yield f"never failed: {case}"
    names = {*never_failed, *(case.partition("[")[0] for case in never_failed)}
    yield from (f"is said never to fail, and does: {name}" for name in never if name not in names)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.breaks", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", help="test_tokens, local/test_pool, …; else all that have a list"
    )
    parser.add_argument("--list", action="store_true", help="show the breaks, run nothing")
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds for one run of a module (%(default)s)"
    )
    parser.add_argument("--match", default="", help="only the breaks in whose description this text stands")
    options = parser.parse_args()
    lists = [BreakList.read(ROOT, module) for module in options.modules or find_modules(ROOT)]
    if options.list:
        for breaks in lists:
            print(*(f"{breaks.module}: {each.what} ({each.file})" for each in breaks.breaks), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        copy = Path(folder).resolve() / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info"))
        runner = Runner(copy, options.limit)
        problems = [
            f"{each.module}: {problem}" for each in lists for problem in runner.try_list(each, options.match)
        ]
    content = "Every break was noticed" + ("" if options.match else ", and every test failed once") + "."
    print("\n" + ("\n".join(problems) or content))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
