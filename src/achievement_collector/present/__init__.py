"""Presenters: the same facts for different readers and formats. None adds a fact."""
