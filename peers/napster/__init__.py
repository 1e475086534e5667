"""Napster: an index knows who has what, users transfer among themselves (OpenNap's messages).

options.py     parameters of both roles
library.py     the index's files: who shares what, by words of names
index.py       the index: login, share, search, where to fetch
line.py        a user's line to the index: login, again after a loss, what is shared
user.py        the user: commands, searches, and streams sorted to who they belong to
downloads.py   files fetched from other users, or pushed by them
uploads.py     files given to other users, or pushed to them
"""

from peers.napster.index import Index
from peers.napster.options import IndexOptions, UserOptions
from peers.napster.user import User

__all__ = ["Index", "IndexOptions", "User", "UserOptions"]
