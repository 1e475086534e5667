"""Topologies: pure functions from a few parameters to named nodes and links (`registry.GENERATORS`)."""
