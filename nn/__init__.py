"""The network's arithmetic: arrays in, arrays out."""
