"""Linear: webhook bodies and the GraphQL API, as observations."""
