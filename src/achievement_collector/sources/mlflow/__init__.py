"""MLflow: experiments, runs and registered model versions, read from a tracking server's REST API."""
