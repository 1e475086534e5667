"""All figures of a report, in its order. A new one is one function and one line here."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.plots.chains import chain_heights
from harness.plots.costs import cost_per_lookup, hops
from harness.plots.fidelity import fidelity, machine
from harness.plots.latency import latency_cdf
from harness.plots.load import traffic_by_place, traffic_over_time
from harness.plots.overlay_map import overlay_map
from harness.plots.raster import lookups_raster
from harness.plots.shares import degrees, load_per_peer
from harness.plots.spreading import deliveries_by_time, downloads_over_time
from harness.plots.success import success_over_time

Plot = Callable[[Dataset], Figure]

PLOTS: dict[str, Plot] = {
    "success_over_time": success_over_time,
    "downloads_over_time": downloads_over_time,
    "deliveries_by_time": deliveries_by_time,
    "chain_heights": chain_heights,
    "overlay_map": overlay_map,
    "latency_cdf": latency_cdf,
    "cost_per_lookup": cost_per_lookup,
    "hops": hops,
    "lookups_raster": lookups_raster,
    "load_per_peer": load_per_peer,
    "degrees": degrees,
    "traffic_over_time": traffic_over_time,
    "traffic_by_place": traffic_by_place,
    "fidelity": fidelity,
    "machine": machine,
}
