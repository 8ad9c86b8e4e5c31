"""Scripts that are real processes, on a real server, watched by a monitor: stuck, steered, behind a forwarder, forked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.busy_scripts import SENDER, busy_script, progress_of
from support.observed import script
from support.stopwatch import within_a_second
from support.turnstiles import PATIENCE_S, until

from haip_sync import CommandError
from haip_sync.observe import ExplainChannel, ProgramLink, RequestCredits, ResumeChannel, list_programs
from haip_sync.testing import DevServer

# ---- What it is for ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_a_blocked_script_is_found_explained_and_freed(server: DevServer) -> None:
    """From another process: the list names channel and reason, a request for credit lets it go on, and its log says who did."""
    with script(SENDER, server.url, "5", mode="steer") as running:
        assert [running.line() for _ in range(3)] == ["0", "1", "2"]
        path = running.path()
        until(lambda: list_programs()[0].state == "blocked")
        (info,) = list_programs()
        assert (info.pid, info.worst.name, info.worst.worst, info.worst.cause) == (running.pid, "sender", "USER", "messages")
        assert "needs 1 message of credit and has 0" in info.worst.why
        with ProgramLink(path, monitor="night shift") as link:
            explanation = link.call(ExplainChannel(channel="USER"), "sender").explanation
            assert (explanation.cause, explanation.missing) == ("messages", 1)
            link.call(RequestCredits(channel="USER", messages=2, reason="3 a.m."), "sender")
            assert [running.line() for _ in range(2)] == ["3", "4"]
        log = running.errors()
    assert f"uid {os.geteuid()}, pid {os.getpid()}, 'night shift'" in log
    assert "RequestCredits of USER on client 'sender'" in log
    assert "3 a.m." in log


@pytest.mark.usefixtures("place")
def test_a_script_that_may_only_be_watched_is_not_steered(server: DevServer) -> None:
    """It is seen with its reason, and a command is refused with how to allow it; it stays where it is."""
    with script(SENDER, server.url, "5") as running:
        with ProgramLink(running.path()) as link:
            with pytest.raises(CommandError, match="HAIP_SYNC_MONITOR=steer") as caught:
                link.call(RequestCredits(channel="USER", messages=2), "sender")
            assert caught.value.refused
            link.attach("sender")
            until(lambda: link.snapshot("sender") and link.snapshot("sender").channels["USER"].waiting_for == "messages")
        running.process.kill()
        assert "RequestCredits" not in running.errors()


@pytest.mark.usefixtures("place")
def test_the_past_is_there_from_the_start(server: DevServer) -> None:
    """Who attaches later sees seconds from before."""
    with script(SENDER, server.url, "5") as running:
        path = running.path()
        link = ProgramLink(path)
        with link:
            pasts: list[float] = []

            def reaches_back() -> bool:
                with ProgramLink(path) as late:
                    late.attach("sender")
                    until(lambda: late.snapshot("sender"))
                    pasts[:] = [sample.time_s for sample in late.take_past("sender")]
                return len(pasts) >= 3

            until(reaches_back)
            assert pasts == sorted(pasts)
            assert pasts[-1] - pasts[0] > 1.5


@pytest.mark.usefixtures("place")
def test_a_script_that_is_stuck_in_connecting_is_seen() -> None:
    """Its client is offered from the moment that it begins to connect."""
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        script(SENDER, f"ws://127.0.0.1:{deaf.getsockname()[1]}", "1") as running,
    ):
        running.path("not connected")
        (info,) = list_programs()
    assert (info.state, info.clients[0].connected) == ("not connected", False)


# ---- Through a forwarder -----------------------------------------------------------------------------------------------------

RELAY = """
import asyncio, sys
async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
async def take(reader, writer):
    far_reader, far_writer = await asyncio.open_unix_connection(sys.argv[1])
    await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer), return_exceptions=True)
async def main():
    server = await asyncio.start_unix_server(take, sys.argv[2])
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def test_an_end_behind_a_forwarder_is_not_said_to_be_the_programs(place: Path) -> None:
    """As SSH forwards a socket: the link cannot know which of the two has ended, and says so; the script goes on."""
    near = place / "near.sock"
    with busy_script() as running, ProgramLink(running.path()) as direct:
        direct.attach("sender")
        command = [sys.executable, "-c", RELAY, str(running.path()), str(near)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:  # noqa: S603
            try:
                assert relay.stdout.readline().strip() == "ready"
                link = ProgramLink(near)
                link.connect(PATIENCE_S)
                assert (link.is_forwarded, direct.is_forwarded) == (True, False)
                assert link.call(ResumeChannel(channel="USER"), "sender").ok
                os.kill(relay.pid, signal.SIGSTOP)
                within_a_second(lambda: link.silent_s is not None, running.pid)
                os.kill(relay.pid, signal.SIGCONT)
                within_a_second(lambda: link.silent_s is None, running.pid, relay.pid)
            finally:
                relay.kill()
            within_a_second(lambda: link.has_ended, running.pid)
            assert f"the script has, or what forwards its socket (pid {relay.pid})" in str(link.trouble)
            link.close()
        within_a_second(progress_of(direct), running.pid)
        assert direct.trouble is None


# ---- Forks -------------------------------------------------------------------------------------------------------------------

FORKING = """
import os, signal, sys
from haip_sync import HAIPClient
client = HAIPClient(sys.argv[1], token="x", name="parents")
client.connect()
sys.stdin.readline()
if os.fork():
    os.write(1, b"parent\\n")  # in one piece: the other process writes there too
    while True:
        signal.pause()
os.write(1, f"child {os.getpid()}\\n".encode())
sys.stdin.readline()
own = HAIPClient(sys.argv[1], token="x", name="childs")
own.connect()
print("connected")
sys.stdin.readline()
"""


@pytest.mark.usefixtures("place")
def test_a_forked_child_answers_on_a_socket_of_its_own(server: DevServer) -> None:
    """It opens one with its first client, and holds none of the parent's, so that a monitor hears of the parent's end."""
    with script(FORKING, server.url) as running, ProgramLink(running.path()) as link:
        running.tell("fork")
        said = sorted(running.line() for _ in range(2))
        child = int(said[0].removeprefix("child "))
        try:
            assert [info.pid for info in list_programs()] == [running.pid]
            running.tell("connect")
            assert running.line() == "connected"
            until(lambda: len(list_programs()) == 2)
            names = {info.pid: [line.name for line in info.clients] for info in list_programs()}
            assert names == {running.pid: ["parents"], child: ["childs"]}
            assert link.trouble is None
            running.process.kill()
            until(lambda: link.has_ended)
            until(lambda: [info.pid for info in list_programs()] == [child])
        finally:
            os.kill(child, signal.SIGKILL)
