"""Two-way sync between GitHub's issues and milestones and the rows of a Notion database."""
