"""The benchmarks run, complete, in a setting so small that their figures mean nothing. No time is asserted."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.bench import sides, throughput
from tests.bench.measuring import Side, Times, measure
from tests.bench.peers import missing_peer
from tests.bench.quiet import Watch
from tests.bench.scene import PUBLIC_PAGES, Requests, make_app, make_gateway, make_users
from tests.bench.sides import BARE, COLD, PUBLIC, UNIT, WARM
from tests.bench.table import COLUMNS, Row, markdown, rows_of_times, verdict
from tests.serving import ROOT, served

GATEWAY_SIDES = (
    sides.WARM,
    sides.WARM_MANY_RULES,
    sides.PUBLIC,
    sides.PUBLIC_SIGNED_IN,
    sides.COLD,
    sides.FULL,
)
REFUSALS = [
    f"refused: {case} ({kind})"
    for case in ("no cookie", "expired", "garbage", "forged signature", "unknown kid")
    for kind in ("fetch", "navigation")
]


def run(module: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--mini"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env or None)


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.timeout(300)
def test_the_benchmark_prints_one_complete_table() -> None:
    done = run("tests.bench")
    assert done.returncode == 0, done.stderr
    head, rule, *lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert cells_of(head) == list(COLUMNS)
    assert len(cells_of(rule)) == len(COLUMNS)
    rows = {cells[0]: cells[1:] for cells in map(cells_of, lines)}
    assert len(rows) == len(lines)
    assert {len(cells) for cells in rows.values()} == {len(COLUMNS) - 1}

    timed = [name for name, cells in rows.items() if cells[1]]
    peers = [] if missing_peer() else [sides.PEER, sides.PEER_NO_FETCH]
    assert timed == [BARE, UNIT, *GATEWAY_SIDES, *REFUSALS, *peers]
    for name in timed[1:]:
        float(rows[name][3])  # raw verifications
    if missing_peer():
        assert rows[sides.PEER][0].startswith("left out: flask-cognito-lib is not installed here")

    judged = [cells[-1] for cells in rows.values() if cells[-1]]
    assert set(judged) <= {"yes", "NO"}
    assert f"{judged.count('yes')} of {len(judged)} goals met" in done.stdout
    assert rows[f"key fetches: {WARM}"][0].startswith("1 in ")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.server
@pytest.mark.timeout(300)
def test_the_throughput_benchmark_compares_the_gateway_with_the_bare_app() -> None:
    done = run("tests.bench.throughput")
    assert done.returncode == 0, done.stderr
    rows = [cells_of(line) for line in done.stdout.splitlines() if line.startswith("|")][2:]
    peers = [] if missing_peer() else [sides.PEER, sides.PEER_NO_FETCH]
    assert [row[0] for row in rows] == ["bare Flask application", "gateway", *peers]
    assert all(float(row[2]) > 0 for row in rows)


def test_the_throughput_benchmark_says_that_wrk_is_missing() -> None:
    done = run("tests.bench.throughput", PATH="")
    assert done.returncode == 1
    assert done.stderr.startswith("wrk is not installed here")


def test_a_user_who_is_sent_to_sign_in_ends_the_throughput_benchmark() -> None:
    """wrk would count the redirects as answers, and quick ones."""
    users = make_users(1)
    with served(lambda origin: make_gateway(f"{origin}/no-keys-here")) as origin:
        port = int(origin.rpartition(":")[2])
        strangers = throughput.headers_of(throughput.PEER, users)  # cookies without our prefix
        with pytest.raises(SystemExit, match="answered 302, expected 200"):
            throughput.require_good_answers(port, strangers)


MICROSECOND = 1e-6


def judge(extra: dict[str, float]) -> dict[str, Row]:
    """The rows for sides that take so many microseconds beyond the bare application's 40."""
    taken = {BARE: 0.0, UNIT: 20.0, WARM: 10.0, COLD: 90.0, **extra}
    times = {name: Times((40 + added) * MICROSECOND, 1e-3, 100) for name, added in taken.items()}
    return {row.cells[0]: row for row in rows_of_times(times)}


@pytest.mark.parametrize(
    ("side", "microseconds", "is_met"),
    [
        pytest.param(WARM, 9.9, True, id="warm below half a verification"),
        pytest.param(WARM, 10.1, False, id="warm above it"),
        pytest.param(PUBLIC, 4.9, True, id="public below a quarter"),
        pytest.param(PUBLIC, 5.1, False, id="public above it"),
        pytest.param(COLD, 99.0, True, id="cold below five"),
        pytest.param(COLD, 101.0, False, id="cold above five"),
        pytest.param(sides.WARM_MANY_RULES, 11.4, True, id="many rules within 15 % of few"),
        pytest.param(sides.WARM_MANY_RULES, 11.6, False, id="many rules beyond it"),
        pytest.param(sides.FULL, 179.0, True, id="newcomer below twice the cold"),
        pytest.param(sides.FULL, 181.0, False, id="newcomer above it"),
        pytest.param("refused: expired (fetch)", -10.0, True, id="refusal cheaper than the application"),
        pytest.param("refused: expired (fetch)", 91.0, False, id="refusal dearer than an accepted cold one"),
    ],
)
def test_a_goal_is_met_up_to_its_limit(side: str, microseconds: float, is_met: bool) -> None:
    assert judge({side: microseconds})[side].is_met is is_met


def test_a_side_without_a_goal_is_not_judged() -> None:
    assert judge({sides.PEER: 500.0})[sides.PEER].is_met is None


def test_the_verdict_names_what_was_missed() -> None:
    rows = judge({WARM: 30.0}).values()
    assert verdict(rows) == f"1 of 2 goals met; missed: {WARM}"
    assert f"| {WARM} | 70.0 µs |" in markdown(rows)


def test_a_side_that_answers_something_else_ends_the_benchmark() -> None:
    side = Side("refusing", make_app().wsgi_app, Requests(PUBLIC_PAGES, [None]).make, status="401")
    with pytest.raises(SystemExit, match=r"refusing: answered \['200'\], expected 401"):
        measure([side], rounds=1, end=0.0)


def test_a_disturbed_run_does_not_count() -> None:
    """The disturbance makes the probe take 50 times as long; no neighbour does."""
    spins = 2_000
    watch = Watch(lambda: sum(range(spins)))
    runs = {"side": [watch.run(lambda: "at peace")]}
    spins = 100_000
    runs["side"].append(watch.run(lambda: "disturbed"))
    assert "disturbed" not in watch.quiet(runs, least=0)["side"]
    assert watch.quiet(runs, least=1) == {"side": ["at peace"]}
    assert watch.quiet(runs, least=2) == {"side": ["at peace", "disturbed"]}


def test_a_run_is_disturbed_whether_at_its_start_or_at_its_end() -> None:
    spins = 2_000

    def become(busy: bool) -> bool:
        nonlocal spins
        spins = 100_000 if busy else 2_000
        return busy

    watch = Watch(lambda: sum(range(spins)))
    disturbed = [watch.run(lambda: become(True)), watch.run(lambda: become(False))]
    assert watch.quiet({"side": disturbed}, least=0) == {"side": []}
