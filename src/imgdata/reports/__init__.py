"""What is known, written down in the forms other people read."""
