"""Link presets: what a practitioner would call typical, as data, each with its source.

Each is a pair (up, down): from the host to the network and back. Access presets describe the last mile alone: the delay
of one direction is half of the round-trip time to the provider's first router, so two hosts on `dsl` see each other at
twice that and whatever lies between. They are meant as a starting point: a spec may override every field.

Sources
  WPT      connectivity profiles of WebPageTest (www/settings/connectivity.ini.sample), which other tools copied;
           Lighthouse and Chrome's "Slow 4G" is its "3G - Fast"
  FCC      Measuring Broadband America, reports on fixed broadband; its best class of packet loss is "below 0.4 %"
  CCR17    Bajpai et al., Dissecting Last-mile Latency Characteristics, ACM CCR 47(5), 2017
  IMC22    Michel et al., A First Look at Starlink Performance, ACM IMC 2022
  AWS      the matrix in data/aws-regions.csv
  Netalyzr Kreibich et al., ACM IMC 2010: uplink buffers cluster at powers of two up to 256 kB
Figures without a source are round ones, of the right size. The queue is what a plain FIFO there holds, as a time at
the link's rate (see `_fifo`).
"""

from __future__ import annotations

from topologies.model import PERFECT, Impairment

Preset = tuple[Impairment, Impairment]

_FRAME_BYTES = 1514
_MIN_QUEUE_FRAMES = 10


def _fifo(rate_mbit: float, ms: float) -> int:
    """Bytes that a queue of so many milliseconds holds (1 Mbit/s = 125 bytes/ms), at least ten full frames."""
    return max(round(rate_mbit * 125 * ms), _MIN_QUEUE_FRAMES * _FRAME_BYTES)


def _line(
    delay_ms: float,
    rate_mbit: float,
    queue_ms: float,
    jitter_ms: float = 0.0,
    loss_pct: float = 0.0,
    loss_burst: float = 1.0,
    jitter_distribution: str = "normal",
) -> Impairment:
    return Impairment(
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        jitter_distribution=jitter_distribution,
        loss_pct=loss_pct,
        loss_burst=loss_burst,
        rate_mbit=rate_mbit,
        queue_bytes=_fifo(rate_mbit, queue_ms),
    )


def _both(direction: Impairment) -> Preset:
    return direction, direction


PRESETS: dict[str, Preset] = {
    "perfect": _both(PERFECT),
    # Two hosts at one router are 4 crossings apart: 4 x 0.125 = 0.5 ms, "round trip within same datacenter" of Dean's
    # Numbers Everyone Should Know. 10GBASE; shallow switch buffers. Loss 0.001 %: Pingmesh (SIGCOMM 2015), in a pod.
    "datacenter": _both(_line(0.125, 10_000, queue_ms=0.5, jitter_ms=0.02, loss_pct=0.001)),
    # Switched 1000BASE-T; switches hold some hundred kB for a port.
    "lan": _both(_line(0.15, 1000, queue_ms=4, jitter_ms=0.03)),
    # Rates: Chrome's former profile "WiFi" (30/15 Mbit/s, 2 ms). Delay: between those 2 ms of a quiet home and the
    # median of 20 ms on a busy campus (Pei et al., WiFi Can Be the Weakest Link of Round Trip Network Latency in the
    # Wild, INFOCOM 2016). Retries on the air make long tails: pareto.
    "wifi": (
        _line(3, 15, queue_ms=200, jitter_ms=1.5, jitter_distribution="pareto", loss_pct=0.2, loss_burst=2),
        _line(3, 30, queue_ms=200, jitter_ms=1.5, jitter_distribution="pareto", loss_pct=0.2, loss_burst=2),
    ),
    # ADSL2+ (ITU-T G.992.5) as sold: 16/1 Mbit/s. Delay: WPT's DSL has a round trip of 50 ms, on ADSL1; interleaving
    # still adds several ms each way, and VDSL is below that (CCR17). Queue: 128 kB at 1 Mbit/s (Netalyzr). Loss: FCC.
    "dsl": (
        _line(12, 1, queue_ms=1024, jitter_ms=1, loss_pct=0.1),
        _line(12, 16, queue_ms=200, jitter_ms=1, loss_pct=0.1),
    ),
    # DOCSIS 3.0 as sold: 100/10 Mbit/s. Delay: 28 ms round trip in WPT's Cable (5/1 Mbit/s); jitter from the request
    # and grant cycle of the shared uplink. Queue: 256 kB at 10 Mbit/s (Netalyzr). Loss: FCC.
    "cable": (
        _line(14, 10, queue_ms=205, jitter_ms=2, loss_pct=0.05),
        _line(14, 100, queue_ms=100, jitter_ms=1, loss_pct=0.05),
    ),
    # GPON as sold: 300/100 Mbit/s. Delay: 4 ms round trip in WPT's FIOS (20/5 Mbit/s). Loss: FCC.
    "fibre": (
        _line(2, 100, queue_ms=50, jitter_ms=0.2, loss_pct=0.01),
        _line(2, 300, queue_ms=50, jitter_ms=0.2, loss_pct=0.01),
    ),
    # WPT's Mobile 3G: 1.6/0.768 Mbit/s, round trip 300 ms. Base stations retransmit: delay varies, loss is low, queues
    # are deep (Jiang et al., Tackling Bufferbloat in 3G/4G Networks, IMC 2012).
    "mobile-3g": (
        _line(150, 0.768, queue_ms=1500, jitter_ms=20, loss_pct=0.5, loss_burst=3),
        _line(150, 1.6, queue_ms=1500, jitter_ms=20, loss_pct=0.5, loss_burst=3),
    ),
    # Opensignal, State of Mobile: USA, 2019: 21.3/6.3 Mbit/s, latency between 44 and 66 ms.
    "mobile-4g": (
        _line(27.5, 6.3, queue_ms=500, jitter_ms=6, loss_pct=0.2, loss_burst=3),
        _line(27.5, 21.3, queue_ms=500, jitter_ms=6, loss_pct=0.2, loss_burst=3),
    ),
    # Rates: Ookla's worldwide 5G medians of 2021, 166/21 Mbit/s. Delay: one-way figures in a public network lie between
    # 7 ms (down) and 18 ms (up): Kottkamp, 5G NR and LTE Latency Analysis in a Public Network (Rohde & Schwarz, 2022).
    "mobile-5g": (
        _line(15, 21, queue_ms=200, jitter_ms=3, loss_pct=0.1, loss_burst=3),
        _line(8, 166, queue_ms=200, jitter_ms=3, loss_pct=0.1, loss_burst=3),
    ),
    # 35,786 km up and down again is at least 239 ms each way; round trips are about 600 ms (Huston, Testing LEO and GEO
    # Satellite Services in Australia, 2022). Rates: the 100/10 Mbit/s subscription that IMC22 compares with.
    "satellite-geo": (
        _line(300, 10, queue_ms=600, jitter_ms=8, loss_pct=0.3, loss_burst=3),
        _line(300, 100, queue_ms=200, jitter_ms=8, loss_pct=0.3, loss_burst=3),
    ),
    # IMC22: round trips of 50 ms in the median to servers all over Europe (quartiles 40 and 60, least 20), 178/17
    # Mbit/s in the median, losses of 0.4 % on a quiet line; they go with handovers (Kassem et al., A Browser-side View
    # of Starlink Connectivity, IMC 2022), so they come in bursts.
    "satellite-leo": (
        _line(20, 17, queue_ms=150, jitter_ms=5, loss_pct=0.4, loss_burst=4),
        _line(20, 178, queue_ms=150, jitter_ms=5, loss_pct=0.4, loss_burst=4),
    ),
    # Long cables do not limit the rate of one experiment: no rate, no queue. AWS: us-east-1 to eu-west-1 80.5 ms and
    # us-west-1 to ap-northeast-1 102.5 ms there and back.
    "transatlantic": _both(Impairment(delay_ms=40, jitter_ms=0.5, loss_pct=0.01)),
    "transpacific": _both(Impairment(delay_ms=51, jitter_ms=0.5, loss_pct=0.01)),
}
