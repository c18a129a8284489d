"""The two ways in which a delivery tells nothing: it does not concern us, or it cannot be read."""

from __future__ import annotations


class NotRelevant(Exception):  # noqa: N818 - an outcome, not a mistake
    """The message is fine and tells nothing that is kept; the text says why."""


class NotUnderstood(Exception):  # noqa: N818
    """The message is of a kind that is kept, but what it is about cannot be made out."""
