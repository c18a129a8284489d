"""GitHub: webhook bodies and the REST API, as observations."""
