"""Threads and sockets: what carries the pure session and the credit layer. Three threads a client, no more."""
