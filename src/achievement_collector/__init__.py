"""Turns the engineering work people really do into an evidence-backed record."""

__version__ = "0.1.0"
