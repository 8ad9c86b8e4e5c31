"""Benchmarks: what this library costs above the least that it could. `pytest tests/benchmarks` prints the table.

They are no part of the default run, and none of them fails on a time or a ratio.
"""

from __future__ import annotations

import pytest
from support.benches.table import Table

_TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    """Let our table speak in the place of pytest-benchmark's own, which knows no floors; --benchmark-verbose brings it back."""
    config.stash[_TABLE] = Table()
    config.option.benchmark_quiet = True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print one line a row."""
    lines = config.stash[_TABLE].lines()
    if lines:
        terminalreporter.write_sep("=", "ours to a floor measured in turn with it: medians over rounds")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """Return the table of this run, which knows the rows of the test's module."""
    table = request.config.stash[_TABLE]
    table.add(vars(request.module).get("ROWS", ()))
    return table
