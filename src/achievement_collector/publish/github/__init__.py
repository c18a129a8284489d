"""Writing to GitHub's issues and milestones."""
