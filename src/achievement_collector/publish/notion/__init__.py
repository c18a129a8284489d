"""Notion: reports and the roadmap in databases that people read and edit."""
