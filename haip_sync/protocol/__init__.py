"""HAIP 1.1.2 as pure logic: frames in, events and frames out. No thread, lock, socket or clock (see `WIRE.md`)."""
