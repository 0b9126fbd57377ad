"""One verb each: plan first, then apply."""
