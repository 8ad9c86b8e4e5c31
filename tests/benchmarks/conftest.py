"""Benchmarks: what this library costs above the least that it could. `pytest tests/benchmarks` prints the table.

They are no part of the default run, and none of them fails on a time or a ratio. A module names its rows in `ROWS`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.benches.server_process import lean_server
from support.benches.table import Table
from support.certificates import authority

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


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process() -> Iterator[None]:
    """Leave out of the garbage collector's rounds what other tests have left, and pytest: no program of a user's has that."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """Return the table of this run, which knows the rows of the test's module."""
    table = request.config.stash[_TABLE]
    table.add(request.module.ROWS)
    return table


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Run a lean server; return its URL but for the path."""
    with lean_server() as url:
        yield url


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a lean server over TLS, with a certificate of the tests' authority; return its URL but for the path."""
    path: Path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    authority().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    with lean_server(certificate=path) as url:
        yield url
