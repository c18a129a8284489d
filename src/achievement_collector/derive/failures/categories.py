"""The kinds of failure."""

from __future__ import annotations

from enum import StrEnum


class FailureCategory(StrEnum):
    """What a failure was. ``UNKNOWN``: it failed, and no rule tells why; ``NONE``: nothing in the log says that it failed."""

    COMPILATION = "compilation"
    TEST = "test"
    LINT = "lint"
    DEPENDENCY = "dependency"
    CONFIGURATION = "configuration"
    INFRASTRUCTURE = "infrastructure"
    TIMEOUT = "timeout"
    RESOURCE = "resource"
    PERMISSION = "permission"
    DEPLOYMENT = "deployment"
    UNKNOWN = "unknown"
    NONE = "none"


TITLES = {
    FailureCategory.COMPILATION: "Compilation",
    FailureCategory.TEST: "Test",
    FailureCategory.LINT: "Lint or quality",
    FailureCategory.DEPENDENCY: "Dependency",
    FailureCategory.CONFIGURATION: "Configuration",
    FailureCategory.INFRASTRUCTURE: "Infrastructure or network",
    FailureCategory.TIMEOUT: "Timeout",
    FailureCategory.RESOURCE: "Resource or out of memory",
    FailureCategory.PERMISSION: "Permission or secret",
    FailureCategory.DEPLOYMENT: "Deployment",
    FailureCategory.UNKNOWN: "Unknown",
    FailureCategory.NONE: "No failure found",
}
