"""The tables of ci."""

from __future__ import annotations
