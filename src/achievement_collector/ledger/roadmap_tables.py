"""The tables of roadmap."""

from __future__ import annotations
