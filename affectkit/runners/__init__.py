"""How a run proceeds, whatever is predicted."""
