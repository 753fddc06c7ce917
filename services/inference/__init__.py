"""Classifies images with the live weights."""
