"""Spark's configuration for the place where a start runs. Nothing here is imported by an image without Spark."""
