"""What the project's rules say: may it leave, may it go, what is owed."""
