"""The published JSON Schemas, as package data: ``importlib.resources.files("hirules.schemas")``."""
