"""What the monitor is for: a script that stands still in one process, `haip-monitor` in another, a server that is real as well.

The monitor is the program itself, offscreen, with a hand that clicks and a voice that reads its windows aloud.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.monitor_process import Monitor, monitor
from support.observed import Script, meeting_place, script
from support.stopwatch import Stopwatch
from support.turnstiles import until

from haip_sync.observe import ProgramLink, RequestCredits, list_programs
from haip_sync.testing import DevServer, OnRequest

SENDER = """
import sys
from haip_sync import HAIPClient
with HAIPClient(sys.argv[1], token="x", name="sender") as client:
    if len(sys.argv) > 3:
        client.pause_channel("USER", reason=sys.argv[3])
    for number in range(int(sys.argv[2])):
        client.send("USER", "TOOL_UPDATE", {"call_id": "c", "status": "RUNNING"}, timeout=120)
        print(number)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def place() -> Iterator[Path]:
    """Yield a meeting place of the test's own."""
    with meeting_place() as directory:
        yield directory


@pytest.fixture
def server() -> Iterator[DevServer]:
    """Yield a server that grants three messages, and more only when it is asked."""
    with DevServer(agent=False, initial_credits=3, policy=OnRequest()) as running:
        yield running


def blocked(running: Script) -> None:
    """Wait until the script has sent its three messages, and stands still."""
    assert [running.line() for _ in range(3)] == ["0", "1", "2"]
    running.path("blocked")


def ends_well(window: Monitor) -> None:
    """Close the monitor, and check that it had nothing to complain of."""
    code, complaints = window.ends()
    assert (code, "Traceback" in complaints) == (0, False), complaints


def test_a_script_that_is_blocked_on_credit_is_found_explained_and_helped(server: DevServer) -> None:
    """The sentence on top names the reason, its button asks for credit, and the script goes on; its log says who did it."""
    with script(SENDER, server.url, "4", mode="steer") as running:
        blocked(running)
        with monitor("--attach", "sender") as window:
            said = window.says("USER is starved of messages for", "Request 1 message")
            assert "The next needs 1 message of credit and 0 are left. The peer has granted nothing since the handshake" in said
            window.does("act")
            assert running.line() == "3"
            assert "1 messages and 0 bytes of credit were asked for on USER" in window.says("audit 1", "request done")
            window.says("Nobody waits")
            pid = window.pid
            ends_well(window)
        running.tell("end")
        assert f"pid {pid}, 'haip-monitor'" in running.errors()


def test_a_script_that_is_paused_is_found_and_resumed(server: DevServer) -> None:
    """The button lifts the pause, though the window came long after it."""
    with script(SENDER, server.url, "2", "lunch", mode="steer") as running:
        running.path("blocked")
        with monitor("--attach", str(running.pid)) as window:
            window.says("USER is paused by us for", "Resume now")
            window.does("act")
            assert [running.line() for _ in range(2)] == ["0", "1"]
            assert "USER is resumed" in window.says("audit 1", "resume done")
            ends_well(window)
        running.tell("end")
        assert "ResumeChannel of USER" in running.errors()


def test_a_script_that_may_only_be_watched_says_how_to_allow_more(server: DevServer) -> None:
    """The reason is named all the same; the button is there for nobody."""
    with script(SENDER, server.url, "4", mode="1") as running:
        blocked(running)
        with monitor("--attach", str(running.path())) as window:
            said = [window.says("sender in"), window.says("sender in"), window.says("sender in")]
            while not any("starved" in line for line in said):
                said.append(window.says("sender in"))
            assert not any("Request 1 message" in line for line in said if "starved" in line)
            while not any("HAIP_SYNC_MONITOR=steer" in line for line in said):
                said.append(window.says("control"))
            ends_well(window)


def test_a_script_that_is_stopped_goes_on_and_is_killed_while_the_window_stays(server: DevServer) -> None:
    """Each is told in words, the picture stays, and what was steered before can be steered after."""
    with script(SENDER, server.url, "4", mode="steer") as running:
        blocked(running)
        with monitor("--attach", str(running.pid)) as window:
            window.says("is starved of messages", "| picture")
            watch = Stopwatch(running.pid, window.pid)
            os.kill(running.pid, signal.SIGSTOP)
            window.says("The script has stopped answering", "is it stopped?", "| picture")
            assert watch.s < 1.0
            watch = Stopwatch(running.pid, window.pid)
            os.kill(running.pid, signal.SIGCONT)
            window.says("is starved of messages", "Request 1 message")
            assert watch.s < 1.0
            window.does("act")
            assert running.line() == "3"
            window.says("audit 1", "request done")
            watch = Stopwatch(running.pid, window.pid)
            os.kill(running.pid, signal.SIGKILL)
            said = window.says("The script is not there any more", "| picture")
            assert watch.s < 1.0
            assert "has ended. Attach to it anew once it is there again. What is shown are the last known values" in said
            ends_well(window)


def test_a_script_that_ends_by_itself_is_told_as_such(server: DevServer) -> None:
    """It has closed its client, or ended: the window says so and keeps its picture."""
    with script(SENDER, server.url, "3", mode="steer") as running:
        assert [running.line() for _ in range(3)] == ["0", "1", "2"]
        with monitor("--attach", str(running.path())) as window:
            window.says("Nobody waits")
            running.tell("end")
            said = window.says("The script is not there any more", "| picture")
            assert "has closed its last client" in said or "has ended" in said
            ends_well(window)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_monitor_that_is_stopped_or_killed_holds_up_nobody(server: DevServer, how: signal.Signals) -> None:
    """The script goes on, and others see and help it."""
    with script(SENDER, server.url, "4", mode="steer") as running:
        blocked(running)
        with monitor("--attach", "sender") as window:
            window.says("is starved of messages")
            os.kill(window.pid, how)
            with ProgramLink(running.path()) as link:
                link.call(RequestCredits(channel="USER", messages=1), "sender")
            assert running.line() == "3"
            until(lambda: [info.state for info in list_programs()] == ["running"])
        running.tell("end")
        running.process.wait()


def test_several_programs_are_watched_at_once(server: DevServer) -> None:
    """A window each, and one goes without the other."""
    with script(SENDER, server.url, "4", mode="steer") as one, script(SENDER, server.url, "4", mode="1") as other:
        for running in (one, other):
            blocked(running)
        with monitor("--attach", str(one.pid), "--attach", str(other.pid)) as window:
            seen = [window.says("is starved of messages").partition(":")[0] for _ in range(2)]
            assert all(any(f"({running.pid})" in title for title in seen) for running in (one, other))
            one.process.kill()
            assert str(one.pid) in window.says("The script is not there any more")
            ends_well(window)
