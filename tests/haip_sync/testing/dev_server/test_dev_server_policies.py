"""The policies of a running development server: changed at any time, kept to, and never breached by a client that counts."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.meeting import TIMEOUT_S, Dial, meet

from haip_sync.testing import (
    ChannelPolicy,
    Credit,
    CreditPolicy,
    DevServer,
    Generous,
    ManualClock,
    Never,
    OnRequest,
    Paced,
    RenewAtHalf,
    Stingy,
)


class Broken(CreditPolicy):
    """A policy of a user's own, with a fault in it."""

    name = "broken"

    def start(self, window: Credit) -> ChannelPolicy:
        """Return a state that cannot count."""
        assert window
        return BrokenChannel()


class BrokenChannel(ChannelPolicy):
    """Fails on the first frame."""

    def after_frame(self, owed: Credit, now: float) -> Credit:
        """Fail."""
        raise ArithmeticError(f"{owed} at {now}")


class Purse:
    """A client's credit on USER: whoever wants to send three frames waits for all of it at once."""

    def __init__(self, client: Any, messages: int, byte_credits: int) -> None:
        self.client = client
        self.messages = messages
        self.byte_credits = byte_credits
        # Guards the two above and the pen; waits for a grant.
        self.changed = threading.Condition()

    def read(self) -> None:
        """Take grants until the connection closes."""
        for text in self.client.socket:
            frame = json.loads(text)
            if frame["type"] == "FLOW_UPDATE":
                with self.changed:
                    self.messages += frame["payload"].get("add_messages", 0)
                    self.byte_credits += frame["payload"].get("add_bytes", 0)
                    self.changed.notify_all()

    def speak(self, name: int, lines: int) -> None:
        """Send so many texts of three frames each."""
        for number in range(lines):
            with self.changed:
                assert self.changed.wait_for(lambda: self.messages >= 3 and self.byte_credits >= 1500, 10)
                size = self.client.say(f"{name}:{number}", message_id=f"{name}-{number}")
                self.messages -= 3
                self.byte_credits -= size


# Policies
def test_a_policy_changes_while_a_client_waits(server: DevServer, dial: Dial) -> None:
    """What `never` kept back comes at once; sessions to come have the new policy too."""
    client, session = meet(server, dial)
    client.say("hello")
    session.wait_for(lambda s: s.text_count == 1, what="a text")
    assert server.set_policy(Generous()) == 1
    assert client.expect("FLOW_UPDATE")["payload"]["add_messages"] == 3
    later, _ = meet(server, dial)
    later.say("hello")
    assert later.expect("FLOW_UPDATE")["payload"]["add_messages"] == 1


def test_a_policy_may_be_for_one_channel(server: DevServer, dial: Dial) -> None:
    """The others keep theirs, in sessions to come as well, until a policy for all takes its place."""
    server.set_policy("generous", "FAST")
    client, session = meet(server, dial)
    client.send("TOOL_LIST", {}, "SLOW")
    client.send("TOOL_LIST", {}, "FAST")
    assert client.expect("FLOW_UPDATE")["payload"]["channel"] == "FAST"
    server.set_policy(OnRequest(), session=session)
    client.send("FLOW_UPDATE", {"channel": "FAST", "add_messages": 7})
    assert client.expect("FLOW_UPDATE")["payload"] == {"channel": "FAST", "add_messages": 7}


def test_a_policy_reaches_a_client_whose_hai_is_still_to_come(server: DevServer, dial: Dial) -> None:
    """A connection made under the old policy opens under the new one."""
    client = dial(server.url)
    client.expect("HAI")
    server.set_policy(Generous())
    client.socket.send(client.pen.hai())
    client.send("TOOL_LIST", {}, "USER")
    client.expect("FLOW_UPDATE")


def test_policies_go_by_the_servers_clock(dial: Dial) -> None:
    """On a manual clock a stingy server gives when the clock says so."""
    clock = ManualClock()
    with DevServer(policy=Stingy(60.0), clock=clock, agent=False) as server:
        client, session = meet(server, dial)
        client.say("hello")
        session.wait_for(lambda s: s.text_count == 1, what="a text")
        for balance in (8, 9, 10):
            clock.advance(60.0)
            assert client.expect("FLOW_UPDATE")["payload"]["add_messages"] == 1
            assert session.books("USER").from_client.balance == balance
        assert session.books("USER").from_client.balance_bytes == 1 << 20


def test_a_policy_that_raises_ends_its_session(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    """With code 1011 and a line in the log; the server goes on."""
    with DevServer(policy=Broken()) as server:
        client, session = meet(server, dial)
        client.send("TOOL_LIST", {}, "USER")
        assert client.expect_close() == 1011
        session.wait_for(lambda s: s.close_code == 1011, what="the end")
        meet(server, dial)
    assert "a session failed" in caplog.text


def test_a_script_pauses_and_resumes_over_and_over(dial: Dial) -> None:
    """It starts with each session's handshake, and anew when its last pause is over."""
    clock = ManualClock()
    with DevServer(pause_script=[(1.0, "USER", 2.0)], repeat_pauses=True, clock=clock) as server:
        client, session = meet(server, dial)
        for _ in range(3):
            clock.advance(1.0)
            client.expect("PAUSE_CHANNEL")
            assert session.books("USER").paused_by_server
            clock.advance(2.0)
            client.expect("RESUME_CHANNEL")


@pytest.mark.parametrize("policy", [Generous(), RenewAtHalf(0.01), Paced(2000), Stingy(0.002)], ids=lambda p: p.name)
def test_many_threads_of_one_client_never_breach(policy: Any, dial: Dial) -> None:
    """Eight threads that spend only what they hold, through a window of three, agree with the server to the byte."""
    with DevServer(policy=policy, initial_credits=3, initial_credit_bytes=4000, agent=False) as server:
        client, session = meet(server, dial)
        purse = Purse(client, 3, 4000)
        reader = threading.Thread(target=purse.read)
        reader.start()
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(purse.speak, name, 6) for name in range(8)]:
                done.result(30)
        session.wait_for(lambda s: s.text_count == 48, what="48 texts")
        server.set_policy(Never())
        server.drop(code=1000)
        reader.join(TIMEOUT_S)
        books = session.books("USER").from_client
        assert session.breaches == ()
        assert (books.balance, books.balance_bytes) == (purse.messages, purse.byte_credits)
        lines = [text.text for text in session.texts()]
        for name in range(8):
            mine = [line for line in lines if line.startswith(f"{name}:")]
            assert mine == [f"{name}:{number}" for number in range(6)]
