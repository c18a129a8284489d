"""Prometheus: asking its HTTP API, and reading what it answers into time series."""
