"""The scripted peer, by the short names that scripts are full of."""

from __future__ import annotations

from haip_sync.testing.scripted import ACCEPTED, ScriptedPeer, scripted_peer

TYPES = list(ACCEPTED)
Peer = ScriptedPeer
peer = scripted_peer
