"""What the browser tests do on a machine that has no browser. These run everywhere."""

from __future__ import annotations

import pytest

from .conftest import find_chromium


@pytest.mark.parametrize("ci", [None, "false", ""])
def test_without_chromium_the_browser_tests_are_skipped_and_say_so(monkeypatch, tmp_path, ci):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception, match="there is no chromium on this machine"):
        find_chromium()


@pytest.mark.parametrize("ci", ["true", "True"])
def test_without_chromium_the_browser_tests_fail_in_ci(monkeypatch, tmp_path, ci):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(
        pytest.fail.Exception, match="there is no chromium, and in CI the browser tests have to run"
    ):
        find_chromium()
