"""What ends a client that reconnects, and what each attempt is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.lines import AT_ONCE, ONE_LINE
from support.live import listen
from support.outages import phase
from support.peers_in_turn import cut, greets_and_cuts, greets_and_stays, peers_in_turn
from support.scripted_peer import Peer
from support.turnstiles import PATIENCE_S, until

from haip_sync import (
    BearerToken,
    ConnectionClosedError,
    Disconnected,
    HAIPClient,
    HelloAuth,
    NotSentError,
    Reconnecting,
    ReconnectPolicy,
)
from haip_sync.runtime import reconnect
from haip_sync.testing import DevServer, FaultProxy, Never


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4000])
def test_a_server_that_goes_away_is_come_back_to(code: int) -> None:
    """These close codes say nothing against another line."""

    def leaves(talk: Peer) -> None:
        talk.greets()
        talk.hears("HAI")
        talk.connection.close(code)

    with peers_in_turn(leaves, greets_and_stays) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        until(lambda: client.connection_state().epoch == 2)
        assert f"code {code}" in (client.connection_state().last_loss or "")


@pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1008, 1009, 3000])
def test_a_server_that_is_done_or_would_refuse_again_is_not(code: int) -> None:
    """After these close codes the client is over, as without a policy."""

    def leaves(talk: Peer) -> None:
        talk.greets()
        talk.hears("HAI")
        talk.connection.close(code)

    with peers_in_turn(leaves, greets_and_stays) as url:
        client = HAIPClient(url, reconnect=AT_ONCE)
        seen = listen(client, Disconnected, Reconnecting)
        client.connect(PATIENCE_S)
        until(lambda: phase(client) == "closed")
        client.close()
    assert [(event.code, event.will_reconnect) for event in seen] == [(code, False)]


def test_a_client_that_may_not_reconnect_ends_with_its_line() -> None:
    """With the policy switched off a loss is the end, and everybody is told why."""
    with peers_in_turn(greets_and_cuts) as url, HAIPClient(url, reconnect=ONE_LINE) as client:
        with pytest.raises(ConnectionClosedError):
            list(client.messages())
        assert phase(client) == "closed"


def test_after_the_last_attempt_everybody_is_told_the_first_cause() -> None:
    """Who waits hears why the line broke and how the attempts went; nothing was sent."""
    policy = ReconnectPolicy(initial_delay=0.05, max_delay=0.05, max_attempts=3)
    with (
        DevServer(initial_credits=0, policy=Never()) as server,
        FaultProxy(server.url) as proxy,
        HAIPClient(proxy.url, reconnect=policy) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        seen = listen(client, Disconnected)
        sending = pool.submit(client.send_text_message, "USER", "waits", timeout=PATIENCE_S)
        receiving = pool.submit(client.receive, PATIENCE_S)
        queued = client.enqueue_text_message("AUDIO_IN", "queued")
        until(lambda: client.connection_state().channels["USER"].waiting == 1)
        proxy.refuse()
        proxy.cut(reset=True)
        for waiting in (sending, receiving):
            with pytest.raises(ConnectionClosedError, match=r"3 attempts to connect again failed, the last one so: .*cannot be"):
                waiting.result(PATIENCE_S)
        with pytest.raises(ConnectionClosedError) as told:
            sending.result(0)
        assert str(told.value).count("Nothing was sent") == 1
        assert str(told.value).endswith("cannot be reached: connection refused. Nothing was sent")
        with pytest.raises(NotSentError, match="left over when the client closed"):
            queued.result(0)
        until(lambda: len(seen) == 2)
        first, last = seen
        assert (first.will_reconnect, last.will_reconnect) == (True, False)
        assert last.reason.startswith(first.reason)
        assert phase(client) == "closed"


def test_who_we_are_is_asked_for_each_attempt_and_two_refusals_in_a_row_are_enough() -> None:
    """A function for `auth` may bring a fresh token once; a server that refuses that too is not asked again."""
    tokens: list[str] = []

    def token() -> BearerToken:
        tokens.append(f"token-{len(tokens)}")
        return BearerToken("good-token" if len(tokens) == 1 else tokens[-1])

    with DevServer(token="good-token", agent=False) as server, FaultProxy(server.url) as proxy:
        with HAIPClient(proxy.url, auth=token, reconnect=AT_ONCE) as client:
            server.wait_for_session()
            proxy.cut(reset=True)
            until(lambda: phase(client) == "closed")
            assert "2 attempts to connect again failed" in (client.connection_state().last_error or "")
        assert len(tokens) == 3


def test_a_token_that_does_not_change_is_refused_once() -> None:
    """A refused token that no function would renew ends the client at the first attempt."""

    def refuses(talk: Peer) -> None:
        talk.connection.close(1008)

    with peers_in_turn(greets_and_cuts, refuses) as url, HAIPClient(url, token="old", reconnect=AT_ONCE) as client:
        until(lambda: phase(client) == "closed")
        assert "1 attempt to connect again failed" in (client.connection_state().last_error or "")


@pytest.mark.parametrize("asked_afresh", [True, False])
def test_a_refusal_behind_the_hai_is_the_attempts_failure(*, asked_afresh: bool) -> None:
    """A server that greets a new line and then refuses what our HAI says of us ends the client; a function is asked once more."""
    asked: list[str] = []

    def who() -> HelloAuth:
        asked.append("")
        return HelloAuth({"token": f"token-{len(asked)}"})

    def breaks(talk: Peer) -> None:
        talk.greets()
        talk.says("PONG", talk.hears("PING"))
        cut(talk)

    def refuses(talk: Peer) -> None:
        talk.greets()
        talk.hears("PING")
        talk.connection.close(1008, "who are you?")

    with peers_in_turn(breaks, refuses) as url:
        client = HAIPClient(url, auth=who if asked_afresh else HelloAuth({"token": "old"}), reconnect=AT_ONCE)
        seen = listen(client, Reconnecting)
        client.connect(PATIENCE_S)
        until(lambda: phase(client) == "closed")
        last_error = client.connection_state().last_error or ""
        client.close()
    attempts = "2 attempts" if asked_afresh else "1 attempt"
    assert (
        f"was lost: the peer ended it without a close frame; {attempts} to connect again failed, the last one so: " in last_error
    )
    assert last_error.endswith("refused the token: it closed the connection in the handshake with code 1008 (who are you?)")
    assert len(asked) == (3 if asked_afresh else 0)
    assert ["refused the token" in event.reason for event in seen] == ([False, True] if asked_afresh else [False])


def test_a_line_that_ends_before_we_are_let_in_is_followed_by_another() -> None:
    """Where a later line is lost before the PING behind our HAI is answered, that is a loss like any other."""

    def lets_in(talk: Peer) -> None:
        talk.greets()
        talk.says("PONG", talk.hears("PING"))
        talk.connection.close(1012)

    def leaves(talk: Peer) -> None:
        talk.greets()
        talk.hears("PING")
        talk.connection.close(1011)

    with (
        peers_in_turn(lets_in, leaves, greets_and_stays) as url,
        HAIPClient(url, auth=HelloAuth({"token": "right"}), reconnect=AT_ONCE) as client,
    ):
        until(lambda: client.connection_state().epoch == 3)
        assert "closed the connection with code 1011" in (client.connection_state().last_loss or "")


def test_an_error_of_our_own_between_two_lines_is_an_end_that_everybody_hears_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in the reader thread, nobody is left waiting."""

    def broken_backoff(*_: Any) -> Any:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(reconnect, "Backoff", broken_backoff)
    with peers_in_turn(greets_and_cuts) as url, HAIPClient(url, reconnect=AT_ONCE) as client:
        with pytest.raises(ConnectionClosedError, match="an error in haip_sync: RuntimeError"):
            client.receive(PATIENCE_S)
        assert phase(client) == "closed"
