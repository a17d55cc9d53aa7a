"""What a person touches: the `sweep` command, its views, and what it hands over."""

__version__ = "0.1.0"
