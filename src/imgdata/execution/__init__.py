"""How and where stages run."""
