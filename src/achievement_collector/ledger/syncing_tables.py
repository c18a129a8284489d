"""The tables of syncing."""

from __future__ import annotations
