"""The command line: the only room that reads arguments, prints, colours or exits."""
