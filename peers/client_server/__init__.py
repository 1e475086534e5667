"""Client and server: one HTTP/1.1 server (RFC 9110, 9112) has everything, clients fetch it from there.

paths.py      names of items as paths of URLs; ranges of bytes
options.py    parameters of both roles
server.py     the server: HEAD, GET with Range, PUT; many streams, one upload rate
visitors.py   one stream of the server: requests in, a file out piece by piece
adversaries.py  a server that withholds what it has
client.py     the client: asks, uploads, downloads and goes on where a broken connection ended
transfers.py  one operation of a client on its way
"""

from peers.client_server.client import Client
from peers.client_server.options import ClientOptions, ServerOptions
from peers.client_server.server import Server

__all__ = ["Client", "ClientOptions", "Server", "ServerOptions"]
