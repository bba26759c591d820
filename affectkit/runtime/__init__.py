"""Choose device, precision and torch's back ends, join processes, and shut down gracefully."""
