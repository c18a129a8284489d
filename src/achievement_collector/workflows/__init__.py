"""The services, made durable, scheduled and shared among processes. The only room that knows the engine (DBOS)."""
