"""Parameters of a node. Times are Bitcoin's divided by about sixty, so that a minute shows what there takes an hour."""

from __future__ import annotations

from dataclasses import dataclass

from peers.discovery.connections import ConnectionOptions, option


@dataclass
class NodeOptions(ConnectionOptions):
    """Defaults are the behaviour of 2015; what is false or 0 there is a defence that came later."""

    outbound: int = option(8, "outbound connections that are kept")
    inbound: int = option(117, "inbound connections that are accepted (Bitcoin: 117)")
    dial_s: float = option(0.5, "time between looks at the outbound slots (Bitcoin: 0.5 s)")
    ask_s: float = option(2.0, "time between questions to bootnodes; doubles while there are neighbours")
    ask_after_s: float = option(11.0, "with fewer than two neighbours for so long, bootnodes are asked (Bitcoin: 11 s)")
    advertise_s: float = option(30.0, "time between advertisements of the own address (Bitcoin: 24 h)")
    relay_to: int = option(2, "neighbours to whom a short list of new addresses is handed on")
    answer_least: int = option(8, "addresses told to who asks, at least")
    answer_pct: float = option(23.0, "the same, as a share of the table")
    answer_most: int = option(1000, "the same, at most")
    save_s: float = option(5.0, "time between writes of the table to disk (Bitcoin: 15 min)")
    trust_inbound: bool = option(True, "who dialled in goes to tried (Bitcoin until 2015); false: to new")
    inbound_per_group: int = option(0, "inbound connections accepted from one group; 0: as many as there are slots")
    evict_inbound: bool = option(False, "when inbound slots are full, a new one takes the place of a less useful one")
    one_per_group: bool = option(False, "at most one outbound connection to each group")
    keep_bootnodes: int = option(0, "outbound slots kept for bootnodes")
    anchors: int = option(0, "outbound neighbours that are remembered on disk and dialled first after a restart")
    feeler_s: float = option(0.0, "time between short test connections to addresses of new (Bitcoin: 120 s); 0: none")
    rotate_s: float = option(0.0, "time between replacements of one outbound neighbour; 0: none")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dial_s", "ask_s", "advertise_s", "save_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but has to be above 0")
        for name in ("outbound", "inbound", "relay_to", "answer_least", "inbound_per_group", "keep_bootnodes",
                     "anchors", "feeler_s", "rotate_s", "ask_after_s"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must not be below 0")
        if not 0 <= self.answer_most <= 1000 or not 0 <= self.answer_pct <= 100:
            raise ValueError("answer_most has to be from 0 to 1000, and answer_pct from 0 to 100")


@dataclass
class BootnodeOptions(NodeOptions):
    """A bootnode keeps no neighbours of its own, and has more room for those who ask."""

    outbound: int = option(0, "outbound connections that are kept")
    inbound: int = option(512, "inbound connections that are accepted")


@dataclass
class VictimOptions(NodeOptions):
    """Those of a node; and a table that is full before anything happens, for who wants to know how it is drawn from."""

    prefilled: bool = option(
        False, "bootnodes are not asked but known, each by its own word, a second apart, the last one heard last"
    )


@dataclass
class AttackerOptions(ConnectionOptions):
    """How hard the victim is attacked."""

    flood_s: float = option(1.0, "time between floods of addresses")
    junk: int = option(200, "addresses where nobody is, in each flood, besides the attacker's own")
    occupy: int = option(4, "connections to the victim that are held, to fill its inbound slots")
    introduce_s: float = option(5.0, "time between connections by which the victim gets to know the own address")
    from_s: float = option(0.0, "until so long after its start the attacker does nothing")
    occupy_after_s: float = option(25.0, "so much later it begins to hold connections; sooner, they keep others out")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flood_s <= 0 or self.introduce_s <= 0 or min(self.from_s, self.occupy_after_s) < 0:
            raise ValueError("flood_s and introduce_s have to be above 0, from_s and occupy_after_s not below")
        if not 0 <= self.junk <= 999 or not 0 <= self.occupy <= 1000:
            raise ValueError("junk has to be from 0 to 999 (a message holds 1000 addresses), and occupy from 0 to 1000")
