"""The files that CI jobs write: bytes in, facts out; nothing is fetched, executed or expanded."""
