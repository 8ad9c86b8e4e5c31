"""What every test is held to: it leaves no thread behind. At the end the run says how many schedules it has tried.

The whole suite runs in several processes, because most tests wait more than they work; what is named on the command line runs in
one, where a debugger and a benchmark belong.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import settings
from support.interleavings import TALLY

# A busy machine makes any example slow: no test fails on that.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_GRACE_S = 5.0
_WORKERS = 4
_TRIED = pytest.StashKey[list[int]]()


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    """Fail the test that leaves a thread running, and say where it was started from."""
    before = set(threading.enumerate())
    yield
    deadline_s = time.monotonic() + _GRACE_S
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    left = [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]
    assert not left, f"threads left behind: {left}"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes the tests are shared out to: 0 is none but this one."""
    return _WORKERS if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count schedules."""
    config.stash[_TRIED] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have each process begin with its share of the long tests: one that began last would be waited for by all others."""
    workers: int = vars(config).get("workerinput", {}).get("workercount", 0)
    if workers:
        long = sorted(filter(_limit_s, items), key=_limit_s, reverse=True)
        rest = [item for item in items if not _limit_s(item)]
        share = -(-len(rest) // workers)
        # xdist hands each as many, one after the other in this order.
        shares = ((*long[worker::workers], *rest[worker * share : (worker + 1) * share]) for worker in range(workers))
        items[:] = chain.from_iterable(shares)


def _limit_s(item: pytest.Item) -> float:
    """Return the time limit that a test has of its own, as the long ones do; 0: none."""
    limit = item.get_closest_marker("timeout")
    return 0.0 if limit is None else limit.args[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what is imported and collected by now out of the garbage collector's rounds.

    It stays to the end anyway, and is most of what there is: each test that has a server has a round too (support.descriptors).
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what this process has counted: to the one that shares out the tests, or to the summary."""
    output: dict[str, object] | None = vars(session.config).get("workeroutput")
    if output is None:
        session.config.stash[_TRIED] += TALLY
    else:
        output["schedules"] = list(TALLY)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what another process has counted; one that crashed has handed nothing over."""
    node.config.stash[_TRIED] += vars(node).get("workeroutput", {}).get("schedules", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many interleavings the deterministic scheduler has run."""
    tried = terminalreporter.config.stash[_TRIED]
    if tried:
        terminalreporter.write_line(f"deterministic scheduler: {sum(tried):,} schedules in {len(tried)} scenarios")
