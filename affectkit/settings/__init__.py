"""Define what a user can set: frozen data classes with parsed values and their help."""
