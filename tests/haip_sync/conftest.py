"""What every test here is held to: it leaves no descriptor behind."""

from __future__ import annotations

from support.descriptors import leaves_no_descriptor

__all__ = ["leaves_no_descriptor"]
