"""The one hierarchy of errors that a user can meet.

A message says what happened, to what, and what the user can do; it never holds a secret.
"""


class CollectorError(Exception):
    """Something the user can understand and act on; the CLI prints it in one sentence, exit code 2."""


class RepositoryError(CollectorError):
    """A path is no git repository, or git refuses to read it."""


class LedgerError(CollectorError):
    """The ledger cannot be opened, is of another version, or refuses a write."""


class ConfigurationError(CollectorError):
    """A flag, an environment variable or a configuration file holds something unusable."""


class NotFoundError(CollectorError):
    """What the user named is not in the ledger."""


class ExportRefusedError(CollectorError):
    """An export was not written, because it would have let out something that looks like a secret."""


class NotConcludedError(CollectorError):
    """Something could not be concluded from the facts. What was asked for is recorded and everything else is concluded."""
