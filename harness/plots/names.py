"""Titles of the figures, in the order of the report, without the weight of the libraries that draw them."""

from __future__ import annotations

FIGURES = {
    "success_over_time": "Who still finds what",
    "downloads_over_time": "Who has it all",
    "deliveries_by_time": "How far a message has come",
    "chain_heights": "How the chain grew, and what was undone",
    "overlay_map": "Who is in touch with whom",
    "latency_cdf": "How long it takes",
    "cost_per_lookup": "What a lookup costs",
    "hops": "How far a lookup goes",
    "lookups_raster": "Every single lookup",
    "load_per_peer": "Who does the work",
    "degrees": "How many neighbours peers have",
    "traffic_over_time": "Traffic over time",
    "traffic_by_place": "Traffic by host and link",
    "fidelity": "Is the network what the plan says?",
    "machine": "Was the machine up to it?",
}
