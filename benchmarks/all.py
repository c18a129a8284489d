"""Every benchmark that needs nothing but this repository: ``make bench``."""

from __future__ import annotations

import sys

from benchmarks import categories, scan


def main() -> None:
    scan.main()
    if categories.FOLDER.is_dir():
        sys.argv = sys.argv[:1]
        categories.main()


if __name__ == "__main__":
    main()
