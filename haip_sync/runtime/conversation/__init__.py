"""Handles of what is under way between the two sides: tool calls, runs, texts as they arrive, pings."""
