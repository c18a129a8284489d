"""Every benchmark that needs nothing but this repository: ``make bench``."""

from __future__ import annotations

import sys

from benchmarks import api, categories, intake, scan, shifts


def main() -> None:
    scan.main()
    sys.argv = sys.argv[:1]
    intake.main()
    api.main()
    shifts.main()
    if categories.FOLDER.is_dir():
        categories.main()


if __name__ == "__main__":
    main()
