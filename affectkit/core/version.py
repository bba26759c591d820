"""The version of affectkit, for records and messages of every room."""

VERSION = "0.1.0"
