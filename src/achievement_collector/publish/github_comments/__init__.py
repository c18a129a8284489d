"""Comments at pull requests of GitHub: one of ours at each, kept up to date."""
