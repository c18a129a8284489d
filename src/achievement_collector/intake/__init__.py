"""From a request to facts: signatures, the durable inbox, deliveries read."""
