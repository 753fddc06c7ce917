"""The weights service: the live weights over REST, and their durable history."""
