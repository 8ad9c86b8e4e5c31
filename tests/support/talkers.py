"""Threads that say something and one that hears the answers: each text that was accepted has to be answered once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from haip_sync import FlowControlError, HAIPClient, Message, PartialSendError, PendingSend, SendReceipt
from haip_sync.testing.agent import answer_to
from support.soak import dice

CHANNELS: Final = ("USER", "AUDIO_IN", "notes")
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.15
_FILLER: Final = 'ein "Zitat", ein \\ und ein\tTab; grün, 漢字, 😀, \x01.\n' * 200


class Account:
    """The answers that are due, by the first word of what was said. Thread-safe; holds no more than is under way."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        # Guards the three; an answer may come before the call that sent the text is back.
        self._lock = threading.Lock()
        self._due: dict[str, str] = {}

    def expect(self, key: str, text: str) -> None:
        """Note that an answer is due if this text goes out."""
        with self._lock:
            self._due[key] = answer_to(text)

    def refused(self, key: str, error: Exception) -> None:
        """Note that the text was reported as not sent: it must not be answered, or not have been."""
        with self._lock:
            self.counts[type(error).__name__] += 1
            if self._due.pop(key, None) is None:
                self.wrong.append(f"{key} was answered, and {error!r} said that it was not sent")

    def answered(self, answer: str) -> None:
        """Take an answer in, which nobody may have had before."""
        key = answer.removeprefix(answer_to("")).split(" ", 1)[0]
        with self._lock:
            self.counts["answered"] += 1
            if (due := self._due.pop(key, None)) != answer:
                self.wrong.append(f"{answer!r} came where {due!r} was due")

    @property
    def due(self) -> list[str]:
        """The texts that are not answered yet."""
        with self._lock:
            return list(self._due)


class Talker(threading.Thread):
    """Says one thing after another, whatever the dice say, until `over` is set."""

    def __init__(self, client: HAIPClient, account: Account, number: int, seed: int, over: threading.Event) -> None:
        super().__init__(name=f"talker-{number}", daemon=True)
        self.raised: BaseException | None = None
        self.said = 0
        self._client = client
        self._account = account
        self._over = over
        self._dice = dice(f"{seed}/talker/{number}")
        self._queued: PendingSend | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._say_something()
                self._over.wait(self._dice.uniform(0, _PAUSE_S))
            self._settle()
        except BaseException as exc:
            self.raised = exc
            self._over.set()

    def _say_something(self) -> None:
        self.said += 1
        key, channel = f"{self.name}/{self.said}", self._dice.choice(CHANNELS)
        kind = self._dice.choices(("text", "long", "queued", "hurried", "sound"), (8, 1, 5, 4, 2))[0]
        text = f"{key} {_FILLER[: self._dice.randint(2_000, 8_000) if kind == 'long' else self._dice.randint(0, 300)]}"
        if kind == "sound":
            self._check(self._client.send_audio_chunk(channel, key, "audio/opus", text.encode(), timeout=_PATIENCE_S))
            return
        self._account.expect(key, text)
        if kind == "queued":
            self._settle()
            self._queued = self._client.enqueue_text_message(channel, text)
            return
        timeout = self._dice.uniform(0, 0.3) if kind == "hurried" else _PATIENCE_S
        try:
            self._check(self._client.send_text_message(channel, text, timeout=timeout))
        except (FlowControlError, PartialSendError) as exc:
            if kind != "hurried":
                raise
            self._account.refused(key, exc)

    def _settle(self) -> None:
        """Wait until what was queued before has been sent."""
        queued, self._queued = self._queued, None
        if queued is not None:
            self._check(queued.result(_PATIENCE_S))

    @staticmethod
    def _check(receipt: SendReceipt) -> None:
        assert receipt.outcome in ("sent", "acknowledged"), receipt


class Hearer(threading.Thread):
    """Takes what comes, puts texts together and enters them in the account, until the client is closed."""

    def __init__(self, client: HAIPClient, account: Account) -> None:
        super().__init__(name="hearer", daemon=True)
        self.raised: BaseException | None = None
        self._client = client
        self._account = account
        self._parts: dict[str, list[str]] = {}

    def run(self) -> None:
        try:
            for message in self._client.messages():
                self._hear(message)
        except BaseException as exc:
            self.raised = exc

    def _hear(self, message: Message) -> None:
        """Take one frame. A part of a text that has not begun, or is over, has no place here: KeyError."""
        key = message.payload["message_id"]
        if message.type.endswith("_START"):
            assert key not in self._parts, message
            self._parts[key] = []
        elif message.type.endswith("_PART"):
            self._parts[key].append(message.payload["text"])
        elif message.type.endswith("_END"):
            self._account.answered("".join(self._parts.pop(key)))
