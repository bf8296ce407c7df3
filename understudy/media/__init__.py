"""Pictures and documents for models that take only text: described, or read, once."""
