"""A compact conversation of everything, and what must hold of it wherever its lines were cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from haip_sync import (
    FlowControlConfig,
    HAIPClient,
    HAIPError,
    HAIPTimeout,
    Message,
    NotSentError,
    PartialSendError,
    PendingSend,
    SendReceipt,
    SendUnconfirmed,
    ToolCall,
)
from haip_sync.errors import ConnectionClosedError
from haip_sync.testing.settings import ServerSettings, check_settings
from haip_sync.testing.tools import ToolFunction
from support.memory_world import World

CREDIT: Final = FlowControlConfig(initial_credits=4, initial_credit_bytes=900, max_credits=6, max_credit_bytes=1_000)
SOUND: Final = bytes(range(7))
_LONG: Final = "long and 漢字 " * 16


def _work(params: Any, call: Any) -> str:
    call.update(progress=50)
    return f"done with {params['n']}"


def server_settings(*, resumes: bool, plenty: bool = False) -> ServerSettings:
    """Return a server that answers texts and works, with little credit, or with `plenty`."""
    tools: dict[str, ToolFunction] = {"work": _work}
    return check_settings(
        dialect="message",
        accept_events=None,
        initial_credits=200 if plenty else 4,
        initial_credit_bytes=200_000 if plenty else 800,
        credit_unit="envelope",
        count_control_frames=False,
        agent=True,
        keep_received=1_000,
        binary_frames=True,
        tools=tools,
        max_concurrent_runs=4,
        quirks=None,
        resumes=resumes,
        replay_frames=1_000,
    )


@dataclass
class Talk:
    """What was said, what came of it and what was heard."""

    world: World
    client: HAIPClient
    fates: dict[str, SendReceipt | HAIPError] = field(default_factory=dict)
    heard: list[Message] = field(default_factory=list)
    unconfirmed: list[SendUnconfirmed] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    _calls: list[ToolCall] = field(default_factory=list)

    def attempt(self, what: str, send: Callable[[], SendReceipt]) -> None:
        """Send, and keep what came of it."""
        try:
            self.fates[what] = send()
        except (ConnectionClosedError, NotSentError, PartialSendError) as exc:
            self.fates[what] = exc

    def hold(self, *, pauses: bool = True) -> None:
        """Say everything. `pauses`: the server holds a channel, and lets it go."""
        client, say = self.client, self.client.send_text_message
        client.subscribe(self.unconfirmed.append, SendUnconfirmed)
        self.attempt("one", lambda: say("USER", "one"))
        queued = client.enqueue_text_message("AGENT", "queued")
        if pauses:
            self.world.server.perform(lambda conversation, _: conversation.voice.hold("notes", paused=True))
        self.attempt("queued", lambda: self._settled(queued))
        self._hear()
        if pauses:
            self.world.server.perform(lambda conversation, _: conversation.voice.hold("notes", paused=False))
        client.pause_channel("AUDIO_IN")
        self._call()
        self._run()
        client.resume_channel("AUDIO_IN")
        self.attempt(_LONG, lambda: say("AGENT", _LONG))
        self._hear()
        self._sound()  # which nobody answers or acknowledges
        self._hear()
        self._finish_calls()

    def _sound(self) -> None:
        self.attempt("sound", lambda: self.client.send_audio_chunk("AUDIO_IN", "sound", "audio/opus", SOUND))

    def _call(self) -> None:
        try:
            self._calls.append(self.client.call_tool("notes", "work", {"n": 1}))
        except HAIPError as exc:
            self.results.append(exc)
        self.world.settle()

    def _finish_calls(self) -> None:
        for call in self._calls:
            try:
                self.results.append(call.result(0))
            except HAIPError as exc:
                self.results.append(exc)

    def _run(self) -> None:
        try:
            with self.client.run() as run:
                self.results.append(run)
        except HAIPError as exc:
            self.results.append(exc)

    def _settled(self, queued: PendingSend) -> SendReceipt:
        self.world.until(queued.done)
        return queued.result(0)

    def _hear(self) -> None:
        """Take all that has come, once nothing is under way."""
        while True:
            self.world.settle()
            try:
                self.heard.append(self.client.receive(0))
            except HAIPTimeout:
                return

    # ---- What must hold --------------------------------------------------------------------------------------------------------

    def check(self, *, resumes: bool) -> None:
        """Check that each message came over once or was reported, that nothing came twice, and that the books agree."""
        frames = self.world.server.frames()
        assert not _twice(frame.id for frame in frames)
        assert not _twice(message.id for message in self.heard)
        arrived = self._arrived()
        for what, fate in self.fates.items():
            self._check_fate(what, fate, arrived[what], resumes=resumes)
        assert not set(arrived) - set(self.fates)
        answers = Counter(self.answers())
        assert max(answers.values(), default=0) <= 1, answers
        if resumes:
            assert answers == {"You said: one": 1}, answers
            assert self.results[-1] == "done with 1", self.results
            assert not self.unconfirmed
        self.check_books()

    def _check_fate(self, what: str, fate: SendReceipt | HAIPError, times: int, *, resumes: bool) -> None:
        if isinstance(fate, SendReceipt) and fate.outcome in ("sent", "acknowledged"):
            assert times == 1, f"{what} arrived {times} times, {fate}"
            return
        assert not resumes, f"{what}: {fate!r}"
        may_have_come = isinstance(fate, SendReceipt) or (
            isinstance(fate, ConnectionClosedError) and "Nothing of it was sent" not in str(fate)
        )
        assert times <= may_have_come, f"{what} arrived, {fate!r}"
        if isinstance(fate, SendReceipt):
            assert fate.outcome == "indeterminate", fate
            assert fate.message_id in [event.message_id for event in self.unconfirmed], fate

    def _arrived(self, *, garbled: bool = False) -> Counter[str]:
        """Return what arrived, over all lines. `garbled`: a sound may be another."""
        archives = {id(c.archive): c.archive for c in self.world.server.conversations}.values()
        counts = Counter(text.text for archive in archives for text in archive.texts)
        for archive in archives:
            for _, sound in archive.audio.get("AUDIO_IN", ()):
                assert garbled or sound == SOUND
                counts["sound"] += 1
        return counts

    def answers(self) -> list[str]:
        """Return the whole texts that were heard."""
        open_ones: dict[str, str] = {}
        whole = []
        for message in self.heard:
            if message.type == "MESSAGE_START":
                open_ones[message.payload["message_id"]] = ""
            elif message.type == "MESSAGE_PART":
                open_ones[message.payload["message_id"]] += message.payload["text"]
            elif message.type == "MESSAGE_END":
                whole.append(open_ones.pop(message.payload["message_id"]))
        return whole

    def check_spoiled(self, *, exactly: bool, torn: bool) -> None:
        """Check what must hold where frames were spoiled: nothing twice, nobody promised what is not there.

        `exactly`: frames were only doubled or turned round, so that all must have come and the books agree. `torn`: a half of a
        sound may have been spoiled, and nothing protects what sounds.
        """
        assert not _twice(frame.id for frame in self.world.server.frames())
        assert not _twice(message.id for message in self.heard)
        arrived = self._arrived(garbled=torn)
        # A part that never came is told by the server: what is left of its text is none of ours.
        strange = Counter({text: times for text, times in arrived.items() if text not in self.fates})
        assert max((arrived - strange).values(), default=0) <= 1, arrived
        assert strange.total() <= sum(len(one.sequence.lost) for one in self.world.server.conversations), strange
        if exactly:
            self.check(resumes=True)
        desk = self.world.server.conversation.desk
        for name, ours in self.client.connection_state().channels.items():
            books = desk.known(name).books()
            assert ours.is_conserved, name
            assert books.breaches == 0, name
            assert ours.credits + ours.set_aside <= books.from_client.balance, name
            assert ours.byte_credits + ours.set_aside_bytes <= books.from_client.balance_bytes, name
            assert ours.receive_window >= books.to_client.balance, name
            assert ours.receive_window_bytes >= books.to_client.balance_bytes, name

    def check_books(self) -> None:
        """Check that both sides know of the same credit, both ways, and that none is missing."""
        desk = self.world.server.conversation.desk
        for name, ours in self.client.connection_state().channels.items():
            books = desk.known(name).books()
            assert ours.is_conserved, name
            assert books.breaches == 0, name
            theirs = books.from_client
            balance = (ours.credits + ours.set_aside, ours.byte_credits + ours.set_aside_bytes)
            assert balance == (theirs.balance, theirs.balance_bytes), name
            window = (ours.receive_window, ours.receive_window_bytes)
            assert window == (books.to_client.balance, books.to_client.balance_bytes), name


def _twice(ids: Any) -> list[str]:
    return [one for one, times in Counter(ids).items() if times > 1]


def converse(*cuts: Any, resumes: bool) -> tuple[World, Talk]:
    """Hold the conversation over lines of which the first ones are cut so, and check what must hold."""
    world = World(server_settings(resumes=resumes), *cuts)
    with world.client(flow_control=CREDIT) as client:
        talk = Talk(world, client)
        talk.hold()
        talk.check(resumes=resumes)
    return world, talk
