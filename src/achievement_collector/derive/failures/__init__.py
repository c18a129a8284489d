"""Why a step of CI failed, read from its log: evidence lines, a category, a signature, or an honest "unknown"."""
