"""Make a checkpoint and measure it."""
