"""Writing to outside systems, one module for each: only what was asked for, and never twice."""
