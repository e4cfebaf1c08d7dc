"""Training: one pure step, and a loop that feeds, watches and saves it."""
