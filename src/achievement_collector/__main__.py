"""``python -m achievement_collector``."""

from achievement_collector.cli.main import run

if __name__ == "__main__":
    run()
