"""The commands that are new to the contract, against a real development server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from haip_sync import HAIPClient, MessageDequeued, MessageQueued, NotSentError, SendAdmitted
from haip_sync.testing import DevServer, Never, OnRequest
from monitor_app.model.client_source import ClientSource
from monitor_app.model.queue_book import MOST_KNOWN, QueueBook
from monitor_app.model.source import Notice


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Poll `condition` without a sleep of its own; the source has nothing to wait on, by design."""
    never = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        never.wait(0.005)


def answer(source: ClientSource, action: str) -> Notice:
    """Wait for the result of a command and return it."""
    found: list[Notice] = []
    wait_until(lambda: found.extend(n for n in source.take_notices() if n.action == action) or found)
    return found[-1]


@pytest.fixture
def starved() -> Iterator[tuple[HAIPClient, ClientSource]]:
    """Yield a client that may not send, and the source that shows it."""
    with DevServer(policy=Never(), initial_credits=0, agent=False) as server, HAIPClient(server.url) as client:
        source = ClientSource(client)
        yield client, source
        source.close()


def test_what_is_queued_is_known_until_it_leaves(starved: tuple[HAIPClient, ClientSource]) -> None:
    """Ids and sizes of what waits are known, oldest first; what is taken back is known no longer."""
    client, source = starved
    first, second = (client.enqueue_text_message("USER", text) for text in ("one", "and two"))
    wait_until(lambda: len(source.queued("USER")) == 2)
    known = source.queued("USER")
    assert [message.message_id for message in known] == [first.message_id, second.message_id]
    assert [message.message_bytes for message in known] == [first.queued_bytes, second.queued_bytes]
    assert first.cancel()
    wait_until(lambda: len(source.queued("USER")) == 1)
    assert source.queued("AGENT") == ()
    assert second.cancel()
    wait_until(lambda: source.queued("USER") == ())


def test_clearing_tells_how_many_were_lost_and_their_senders(starved: tuple[HAIPClient, ClientSource]) -> None:
    """The notice counts what was taken back; a handle says "cleared"; an empty queue is no error."""
    client, source = starved
    pending = [client.enqueue_text_message("USER", "text") for _ in range(3)]
    source.clear_queue("USER", None)
    cleared = answer(source, "clear queue")
    assert cleared.ok
    assert cleared.result.startswith("3 messages taken back")
    with pytest.raises(NotSentError) as told:
        pending[0].result(5.0)
    assert told.value.reason == "cleared"
    source.clear_queue("USER", None)
    assert answer(source, "clear queue").result == "nothing waited any longer"


def test_a_strategy_asks_from_then_on(starved: tuple[HAIPClient, ClientSource]) -> None:
    """A plan that cannot be built is refused in words and changes nothing."""
    _, source = starved
    source.use_strategy("threshold", {"request_messages": 0}, None)
    refused = answer(source, "strategy")
    assert (refused.ok, refused.channel) == (False, None)
    assert "request_messages" in refused.result


def test_a_strategy_gets_a_starved_channel_going() -> None:
    """With a server that grants on request, the threshold strategy lets a queued text leave."""
    with DevServer(policy=OnRequest(), initial_credits=0, agent=False) as server, HAIPClient(server.url) as client:
        source = ClientSource(client)
        source.send_test_message("USER", "waits")
        wait_until(lambda: client.queue_length("USER") == 1)
        source.use_strategy("threshold", {}, None)
        server.wait_for_session().wait_for(lambda seen: seen.text_count == 1, what="the text")
        assert answer(source, "strategy").result.endswith("is in use on every channel")
        source.close()


def test_single_messages_are_events_only_while_they_are_wanted() -> None:
    """Off at first; on, each message that leaves is an event; off again, none is."""
    with DevServer(agent=False) as server, HAIPClient(server.url) as client:
        source = ClientSource(client)
        seen: list[str] = []

        def sends(text: str) -> None:
            client.send_text_message("USER", text, timeout=5.0)
            client.pause_channel("USER", reason=text)  # an event that is always among the drained
            client.resume_channel("USER")
            names: list[str] = []
            wait_until(
                lambda: names.extend(type(event).__name__ for event in source.drain(100).events) or "ChannelResumed" in names
            )
            seen[:] = names

        sends("first")
        assert "SendAdmitted" not in seen
        source.watch_messages(wanted=True)
        sends("second")
        assert SendAdmitted.__name__ in seen
        source.watch_messages(wanted=False)
        sends("third")
        assert "SendAdmitted" not in seen
        source.close()


def test_commands_without_a_client_are_answered() -> None:
    """The new commands, too, say that there is no connection."""
    source = ClientSource()
    source.clear_queue("USER", None)
    source.use_strategy("manual", {}, None)
    assert [notice.result for notice in source.take_notices()] == ["There is no connection."] * 2
    assert source.queued("USER") == ()


def test_the_book_of_the_queue_is_bounded() -> None:
    """Beyond its bound messages are not known; as known ones leave, there is room again."""
    book = QueueBook()
    for number in range(MOST_KNOWN + 5):
        event = MessageQueued(
            time_s=1.0, channel="USER", message_id=str(number), message_bytes=1, queued=number + 1, queued_bytes=number + 1
        )
        book.put(event)
    assert len(book.of("USER", MOST_KNOWN + 5)) == MOST_KNOWN
    left = MessageDequeued(time_s=2.0, channel="USER", message_id="0", message_bytes=1, queued=1, queued_bytes=1, wait_s=1.0)
    book.put(left)
    assert book.of("USER", MOST_KNOWN)[0].message_id == "1"


def test_a_message_whose_end_was_not_told_does_not_stay_in_the_book() -> None:
    """When the client dropped the event that it left, the count says how many of the newest really stand."""
    book = QueueBook()
    for number in range(3):
        event = MessageQueued(time_s=1.0, channel="USER", message_id=str(number), message_bytes=1, queued=1, queued_bytes=1)
        book.put(event)
    assert [known.message_id for known in book.of("USER", 2)] == ["1", "2"]
    assert book.of("USER", 0) == ()
