"""What it costs a sender to be watched: not one step of its own. The benchmarks have what the other threads take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from statistics import mode
from types import FrameType
from typing import Any

import pytest
from support.observed import meeting_place
from support.turnstiles import PATIENCE_S, until

from haip_sync import FlowControlConfig, FlowControlTimeout, HAIPClient
from haip_sync.observe import ProgramLink, list_programs
from haip_sync.observe.offering import Offering
from haip_sync.observe.service import LONGEST_ROUND_S, ROUND_S, round_for
from haip_sync.testing import DevServer, Generous

PLENTY = 10_000


@pytest.fixture(autouse=True)
def place() -> Iterator[None]:
    """Have a meeting place of the test's own."""
    with meeting_place():
        yield


def steps(call: Callable[[], object]) -> int:
    """Return how many bytecodes this thread goes through in `call`."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12.1 looks for one such frame as the tracing begins, and else tells no bytecodes
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def least_steps(client: HAIPClient) -> int:
    """Return how many bytecodes a send takes where nobody comes in its way, and the peer has acknowledged all that was sent."""

    def of_one() -> int:
        client.ping(timeout=PATIENCE_S)  # the answer acknowledges: a send that is remembered beside others takes a few steps more
        return steps(lambda: client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=0))

    return min(of_one() for _ in range(30))


def steps_of_a_wait(client: HAIPClient) -> int:
    """Return how many bytecodes most sends take that have to wait, in vain."""

    def wait() -> None:
        with suppress(FlowControlTimeout):
            client.send("AGENT", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=0.02)

    return mode(steps(wait) for _ in range(30))


def test_a_send_takes_the_same_steps_whoever_watches() -> None:
    """Not offered, offered, with one and with eight monitors attached: the sending thread does the same, to the bytecode.

    So does one that has to wait: who is attached is told of that in sums.
    """
    credit = FlowControlConfig(max_credits=PLENTY, max_credit_bytes=PLENTY * 1_000)
    with (
        DevServer(agent=False, policy=Generous(), initial_credits=PLENTY, initial_credit_bytes=PLENTY * 1_000) as server,
        HAIPClient(server.url, token="x", name="sender", monitor=False, flow_control=credit) as client,
        ExitStack() as leaving,
    ):
        client.pause_channel("AGENT")
        expected, expected_of_a_wait = least_steps(client), steps_of_a_wait(client)
        assert expected_of_a_wait > expected > 100
        offering = Offering(client, may_steer=False)
        leaving.callback(offering.close)
        offering.begin()
        until(lambda: [info.clients for info in list_programs()] not in ([], [()]))
        assert (least_steps(client), steps_of_a_wait(client)) == (expected, expected_of_a_wait)
        (info,) = list_programs()
        for count in range(1, 9):
            link = leaving.enter_context(ProgramLink(info))
            link.attach("sender")
            until(lambda link=link: link.snapshot("sender"))
            if count in {1, 8}:
                assert (least_steps(client), steps_of_a_wait(client)) == (expected, expected_of_a_wait)


@pytest.mark.parametrize(("cost_s", "expected_s"), [(0.0, ROUND_S), (0.0001, ROUND_S), (0.0002, 0.08), (0.5, LONGEST_ROUND_S)])
def test_a_dear_round_comes_less_often(cost_s: float, expected_s: float) -> None:
    """Twenty times a second where it costs little, and never less than ten times: an operator must not wait for what is seen."""
    assert round_for(cost_s) == pytest.approx(expected_s)
