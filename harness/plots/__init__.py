"""Figures of a run: plain functions of the dataset, all in one style. `registry.PLOTS` is the list."""
