"""Distances on the map, and what light in a fibre makes of them."""

from __future__ import annotations

import math

EARTH_RADIUS_KM = 6371.0  # mean radius (IUGG); the ellipsoid differs by less than 0.6 %
FIBRE_MS_PER_KM = 0.005  # 1 / (2/3 of the speed of light) = 1 / (200 km/ms): the planning value of ITU-T G.114


def great_circle_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The shortest way over ground between two (longitude, latitude) positions in degrees, by the haversine formula."""
    (lon_a, lat_a), (lon_b, lat_b) = (tuple(map(math.radians, position)) for position in (a, b))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))


def propagation_ms(distance_km: float, detour: float = 1.0) -> float:
    """How long light takes in a fibre that is `detour` times as long as the straight line.

    Measured paths come to a detour of about 2.1 (Bozkurt et al., Dissecting Latency in the Internet's Fiber
    Infrastructure, 2018).
    """
    return distance_km * detour * FIBRE_MS_PER_KM
