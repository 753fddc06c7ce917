"""All of Inkling on one machine and one port, without Docker: what `make run` starts."""
