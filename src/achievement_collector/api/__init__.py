"""The HTTP face: webhooks, the API, health and metrics."""
