"""All that the services say to each other, spelled once."""
