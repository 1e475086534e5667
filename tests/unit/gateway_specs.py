"""A spec with a gateway of each kind in front of one or two hosts, and three hosts in the open."""

from __future__ import annotations

KINDS = """\
name: kinds
duration: 30 s
topology: {generator: star, hosts: 14}
links: {access: {delay: 2 ms}}
network:
  behind:
    - {hosts: h1, gateway: full_cone}
    - {hosts: h2, gateway: address_restricted}
    - {hosts: h3, gateway: port_restricted, udp_timeout: 1 s}
    - {hosts: h4, gateway: symmetric}
    - {hosts: h5, gateway: firewall}
    - {hosts: [h6, h7], gateway: cgnat}
    - {hosts: [h8, h9], gateway: full_cone, shared: true}
    - {hosts: h10, gateway: home, forward: true}
    - {hosts: h11, gateway: cloud}
overlays:
  dht: {protocol: dht, peers: [{on: [h12, h13, h14]}, {on: all except h12 except h13 except h14}]}
"""
