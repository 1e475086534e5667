"""One module for each group of verbs; `harness.cli` knows their flags, these do the work and return the exit status."""
