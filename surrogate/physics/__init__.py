"""What to solve, and the reference that solves it."""
