"""What trials cost: the same work by us, by the bare Trainer, and by peers (`__main__.py`)."""
