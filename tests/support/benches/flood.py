"""A flood of synthetic events into a client's dispatch: four threads, each at its pace, in bursts as scripts make them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from haip_sync import ChannelPaused, ChannelResumed, CreditGranted, Event
from haip_sync.runtime.dispatch import Dispatcher

THREADS: Final = 4
CHANNELS: Final = ("USER", "AGENT", "SYSTEM", "AUDIO_IN", "AUDIO_OUT")
_BURST_S: Final = 0.002
_CHANGE_EVERY: Final = 1_000
_SAMPLE_EVERY: Final = 7
_MOST_SAMPLES: Final = 20_000
"""Costs that a thread keeps: of a long flood fewer are taken, or they would be what grows."""


class Flood:
    """Puts so many events a second into a dispatcher until it is told to stop.

    Attributes:
        sent: How many events were put in, of all threads together.
        last: The last pause or resume of each channel.
        costs_s: What single puts took the threads, of every seventh; of a long flood of fewer, as far apart as each other.
    """

    def __init__(self, dispatcher: Dispatcher, per_second: int) -> None:
        self.sent = 0
        self.last: dict[str, Event] = {}
        self.costs_s: list[float] = []
        self._dispatcher = dispatcher
        self._per_thread = per_second / THREADS
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), name=f"flood-{number}") for number in range(THREADS)]
        # Guards the sums, which each thread adds to once, at its end.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for the threads."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(10.0)

    def _run(self, number: int) -> None:
        channel = CHANNELS[number]
        make = maker(channel)
        costs_s: list[float] = []
        sample_every = _SAMPLE_EVERY
        sent = 0
        begun_s = time.perf_counter()
        while not self._stopping.is_set():
            due = int((time.perf_counter() - begun_s) * self._per_thread)
            for _ in range(due - sent):
                event = make()
                if not isinstance(event, CreditGranted):
                    self.last[channel] = event
                if sent % sample_every == 0:
                    before_s = time.perf_counter()
                    self._dispatcher.put(event)
                    costs_s.append(time.perf_counter() - before_s)
                    if len(costs_s) >= _MOST_SAMPLES:
                        del costs_s[::2]
                        sample_every *= 2
                else:
                    self._dispatcher.put(event)
                sent += 1
            self._stopping.wait(_BURST_S)
        with self._lock:
            self.sent += sent
            self.costs_s += costs_s


def maker(channel: str) -> Callable[[], Event]:
    """Return a maker of grants among which every thousandth event pauses the channel, and the next such one resumes it."""
    numbers = count(1)

    def make() -> Event:
        number, now_s = next(numbers), time.monotonic()
        if number % (2 * _CHANGE_EVERY) == 0:
            return ChannelResumed(time_s=now_s, channel=channel, by="peer", still_paused=False)
        if number % _CHANGE_EVERY == 0:
            return ChannelPaused(time_s=now_s, channel=channel, by="peer", peer_told=True)
        return CreditGranted(
            time_s=now_s,
            channel=channel,
            add_messages=1,
            add_bytes=250,
            set_aside_messages=0,
            set_aside_bytes=0,
            credits=number % 100,
            byte_credits=number % 4096,
        )

    return make
