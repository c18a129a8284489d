"""What a server says to its worker: single letters on a pipe."""

WAKE, ASK_LINEAR = b"w", b"l"
