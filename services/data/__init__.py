"""The data: one set on disk, an API for samples, and workers that cut batches."""
