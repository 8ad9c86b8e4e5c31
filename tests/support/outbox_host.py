"""What a handle asks of its client, for tests with an outbox and no client."""

from __future__ import annotations

from haip_sync.flow.outbox import Outbox
from haip_sync.flow.pending import DoneCallback, PendingSend


class OutboxHost:
    """Cancels in its outbox, runs callbacks here and now, and dispatches nothing."""

    outbox: Outbox

    def cancel(self, pending: PendingSend) -> bool:
        return self.outbox.cancel(pending)

    def call_soon(self, callback: DoneCallback, pending: PendingSend) -> None:
        callback(pending)

    call_late = call_soon

    def is_dispatching(self) -> bool:
        return False
