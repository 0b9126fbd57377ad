"""The questions with consequences: where are the copies, may it go, may it leave. Pure."""
