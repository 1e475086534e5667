"""A longest-chain blockchain upon gossip, as small as it can be to show what a partition does to it.

tree.py     blocks, and which of them are the chain
ledger.py   transactions: waiting, in the chain, confirmed
disk.py     what a node has when it is started again
node.py     the cores: mining, checking, catching up
open.py     protocol open_chain: neighbours by peer discovery
forger.py   attackers who eclipse a node and mine for it alone
"""

from peers.chain.node import Chain, Node
from peers.chain.options import ChainOptions

__all__ = ["Chain", "ChainOptions", "Node"]
