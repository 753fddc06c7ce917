"""How a service runs: its settings, logs, health, metrics and error answers."""
