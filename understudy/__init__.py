"""understudy: local models stand in for Claude."""

__version__ = "0.1.0"
