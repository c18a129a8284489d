"""Pure, versioned rules: facts in, conclusions out. No I/O, no clock, no settings object.

(The data files under ``rules/`` are part of the rules: they are read once, from the package itself.)
"""

RULES_VERSION = 4
"""Bumped with every change of a rule that can change a conclusion; stored with every conclusion."""
