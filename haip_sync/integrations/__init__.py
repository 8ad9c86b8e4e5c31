"""Bridges to other systems. Each needs a package of its own, an extra of haip-sync, and costs nothing until it is imported."""
