"""Network families and the registry of their names."""
