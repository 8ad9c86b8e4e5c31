"""An interrupt of who holds a channel or lets it go: the same call again does what is left."""

from __future__ import annotations

from functools import partial

from support.interrupts import every_interrupt, interrupted_at
from support.turnstiles import PATIENCE_S

from haip_sync import HAIPClient
from haip_sync.testing import DevServer


def told(server: DevServer, frame_type: str) -> set[str]:
    """Return the channels that the server was told this of."""
    return {frame.payload["channel"] for frame in server.sessions[0].received if frame.type == frame_type}


def test_a_pause_that_was_interrupted_is_finished_by_the_next() -> None:
    """Wherever an interrupt strikes, a second `pause_channel` holds our sends and the peer is told; so with `resume_channel`."""
    with DevServer(agent=False) as server, HAIPClient(server.url) as client:

        def interrupted(place: int) -> bool:
            channel = f"HELD-{place}"
            paused, _ = interrupted_at(place, partial(client.pause_channel, channel))
            client.pause_channel(channel)
            assert channel in client.connection_state().paused_channels
            resumed, _ = interrupted_at(place, partial(client.resume_channel, channel))
            client.resume_channel(channel)
            assert channel not in client.connection_state().paused_channels
            return paused or resumed

        channels = {f"HELD-{place}" for place in every_interrupt(interrupted)}
        assert len(channels) > 50
        client.ping(PATIENCE_S)
        assert channels <= told(server, "PAUSE_CHANNEL")
        assert channels <= told(server, "RESUME_CHANNEL")


def test_a_channel_that_is_held_already_is_not_told_of_again() -> None:
    """The second of two calls says nothing to the peer."""
    with DevServer(agent=False) as server, HAIPClient(server.url) as client:
        for call in (client.pause_channel, client.resume_channel):
            call("USER")
            call("USER")
        client.ping(PATIENCE_S)
        frames = [frame.type for frame in server.sessions[0].received if frame.type.endswith("_CHANNEL")]
        assert frames == ["PAUSE_CHANNEL", "RESUME_CHANNEL"]
