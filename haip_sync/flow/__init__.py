"""Credit: the arithmetic of it, the waiting for it, and what we grant the peer."""
