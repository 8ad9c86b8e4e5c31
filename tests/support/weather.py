"""What a line goes through while a soak runs: delay, throttle, stalls, refusals and cuts, as the dice say."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from haip_sync.testing import FaultProxy, Faults
from haip_sync.testing.fault_rules import DIRECTIONS, Direction
from support.soak import dice

_SPELL_S: Final = (0.05, 0.6)
"""Of what length a spell of one weather is."""
_MOST_BYTES_OF_A_LINE: Final = 60_000


class Weather(threading.Thread):
    """Changes what is wrong with a proxy's lines from spell to spell; in the end all is well. Keeps count of the spells."""

    def __init__(self, proxy: FaultProxy, seed: int, over: threading.Event) -> None:
        super().__init__(name="weather", daemon=True)
        self.spells: Counter[str] = Counter()
        self.raised: BaseException | None = None
        self._proxy = proxy
        self._over = over
        self._dice = dice(f"{seed}/weather")

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._begin_spell()
                self._over.wait(self._dice.uniform(*_SPELL_S))
        except BaseException as exc:
            self.raised = exc
        finally:
            self._proxy.clear()

    def _begin_spell(self) -> None:
        kinds = (self._fair, self._delay, self._throttle, self._stall, self._refuse, self._cut, self._cut_soon)
        kind = self._dice.choices(kinds, (30, 15, 15, 15, 4, 10, 6))[0]
        self.spells[kind.__name__.strip("_")] += 1
        kind()

    def _direction(self) -> Direction:
        return self._dice.choice(DIRECTIONS)

    def _fair(self) -> None:
        self._proxy.clear()

    def _delay(self) -> None:
        faults = Faults(delay_s=self._dice.uniform(0.0, 0.1), jitter_s=self._dice.uniform(0.0, 0.05))
        self._proxy.set(to_server=faults, to_client=faults)

    def _throttle(self) -> None:
        faults = Faults(bytes_per_s=self._dice.uniform(20_000, 400_000))
        if self._direction() == "to_server":
            self._proxy.set(to_server=faults)
        else:
            self._proxy.set(to_client=faults)

    def _stall(self) -> None:
        self._proxy.stall(self._dice.choice((*DIRECTIONS, "both")))

    def _refuse(self) -> None:
        self._proxy.refuse(accept_first=self._dice.random() < 0.5)
        self._cut()

    def _cut(self) -> None:
        self._proxy.cut(reset=self._dice.random() < 0.5)

    def _cut_soon(self) -> None:
        """Have this line cut, and the next one too, after some bytes: in the handshake, in what is sent again, or later."""
        n_bytes = int(_MOST_BYTES_OF_A_LINE * self._dice.random() ** 3)
        self._proxy.cut_after(n_bytes, self._direction(), reset=self._dice.random() < 0.5)
        self._cut()
