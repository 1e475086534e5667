"""Napster's messages as OpenNap specifies them (drscholl, "napster messages", 2001): client-server and client-client.

A message is two little-endian numbers of two bytes, the length of its data and its type, and the data: fields with a
space between them, those that may contain spaces in double quotes (a quote within cannot be written).
"""

from __future__ import annotations

import re
import socket
import struct
from typing import NamedTuple

from peers.wire import Malformed

ERROR, LOGIN, LOGIN_ACK = 0, 2, 3
SHARE, UNSHARE, UNSHARE_ALL = 100, 102, 110
SEARCH, RESULT, SEARCH_END = 200, 201, 202
GET, GET_ACK, GET_ERROR = 203, 204, 206
STATISTICS = 214
DOWNLOADING, DOWNLOADED, UPLOADING, UPLOADED = 218, 219, 220, 221
COMPLAINT = 404
PUSH_REQUEST, PUSH_ACK = 500, 501
KINDS = {
    ERROR: "error", LOGIN: "login", LOGIN_ACK: "login_ack", SHARE: "share", UNSHARE: "unshare",
    UNSHARE_ALL: "unshare_all", SEARCH: "search", RESULT: "result", SEARCH_END: "search_end", GET: "get_request",
    GET_ACK: "get_ack", GET_ERROR: "get_error", STATISTICS: "statistics", DOWNLOADING: "downloading",
    DOWNLOADED: "downloaded", UPLOADING: "uploading", UPLOADED: "uploaded", COMPLAINT: "complaint",
    PUSH_REQUEST: "push_request", PUSH_ACK: "push_ack",
}  # fmt: skip
HEADER = struct.Struct("<HH")
MAX_DATA = 2048  # "most servers will not accept commands of length longer than 2048 bytes"
MAX_FIELDS = 32
MAX_NAME_BYTES = 1024
MD5_BYTES = 299_008  # of a file are hashed (section "MD5")
MAX_NUMBER_DIGITS = 15

_FIELD = re.compile(r' *(?:"([^"]*)"|([^" ]+))(?= |$)')
_TERM = re.compile(r'FILENAME CONTAINS "([^"]*)"')
_MAX_RESULTS = re.compile(r"MAX_RESULTS ([0-9]{1,6})")
_NICK = re.compile(r"[A-Za-z0-9_\[\]{}\-@^!$]{1,64}")
_ASK = re.compile(rb'([^" \0-\x1f]{1,64}) "([^"\0-\x1f]{1,1024})" ([0-9]{1,15})')


class Message(NamedTuple):
    type: int
    text: str = ""

    @property
    def kind(self) -> str:
        return KINDS.get(self.type, "other")

    def encode(self) -> bytes:
        data = self.text.encode()
        if len(data) > MAX_DATA:
            raise ValueError(f"a message of {len(data)} bytes")
        return HEADER.pack(len(data), self.type) + data


class Reader:
    """Messages out of a stream. `feed` raises Malformed, after which it is done; it holds one message at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        messages: list[Message] = []
        at = 0
        while len(self._buffer) - at >= HEADER.size:
            length, number = HEADER.unpack_from(self._buffer, at)
            if length > MAX_DATA:
                raise Malformed(f"a message of {length} bytes")
            end = at + HEADER.size + length
            if end > len(self._buffer):
                break
            messages.append(Message(number, _text(bytes(self._buffer[at + HEADER.size : end]))))
            at = end
        del self._buffer[:at]
        return messages


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("data that is no text") from error
    if "\0" in text:
        raise Malformed("data with a NUL")
    return text


def split(text: str, count: int) -> list[str]:
    """The fields of a message, at least so many. Raises Malformed."""
    fields: list[str] = []
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None or len(fields) == MAX_FIELDS:
            if not text[at:].strip():
                break
            raise Malformed(f"fields that cannot be told apart: {text[:60]!r}")
        fields.append(match[1] if match[1] is not None else match[2])
        at = match.end()
    if len(fields) < count:
        raise Malformed(f"{len(fields)} fields instead of {count}")
    return fields


def number(text: str, most: int = 10**MAX_NUMBER_DIGITS) -> int:
    """Raises Malformed."""
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_NUMBER_DIGITS or int(text) > most:
        raise Malformed(f"no number up to {most}: {text[:20]!r}")
    return int(text)


def check_name(name: str) -> str:
    """The name of a file, short enough for every message that it may come in. Raises Malformed."""
    if not name or len(name.encode()) > MAX_NAME_BYTES or any(ord(sign) < 32 for sign in name):
        raise Malformed(f"no name of a file: {name[:40]!r}")
    return name


def quoted(text: str) -> str:
    if '"' in text:
        raise ValueError(f"a double quote cannot be written: {text!r}")
    return f'"{text}"'


def ip_number(host: str) -> int:
    """An IPv4 address as the number that an Intel server has in memory: 1.2.3.4 is 0x04030201."""
    try:
        return int.from_bytes(socket.inet_aton(host), "little")
    except OSError:  # IPv6 has no place in this protocol
        return 0


def ip_text(value: int) -> str:
    return socket.inet_ntoa(value.to_bytes(4, "little"))


class Login(NamedTuple):
    nick: str
    password: str
    port: int
    client: str
    link: int = 0

    def message(self) -> Message:
        return Message(LOGIN, f"{self.nick} {self.password} {self.port} {quoted(self.client)} {self.link}")

    @classmethod
    def parse(cls, text: str) -> Login:
        nick, password, port, client, link, *_ = split(text, 5)
        if not _NICK.fullmatch(nick):
            raise Malformed(f"no nick: {nick[:40]!r}")
        return cls(nick, password, number(port, 65535), client[:100], number(link, 10))


class Share(NamedTuple):
    """A file as its owner describes it; what is true of music only is passed on as it is."""

    name: str
    md5: str
    size: int
    bitrate: int = 128
    frequency: int = 44100
    seconds: int = 0

    @property
    def text(self) -> str:
        return f"{quoted(self.name)} {self.md5} {self.size} {self.bitrate} {self.frequency} {self.seconds}"

    @classmethod
    def parse(cls, text: str) -> Share:
        name, md5, *numbers = split(text, 6)[:6]
        if len(md5) > 64:
            raise Malformed("a checksum that is too long")
        check_name(name)
        return cls(name, md5, *(number(each) for each in numbers))


class Search(NamedTuple):
    words: str
    max_results: int = 100

    def message(self) -> Message:
        return Message(SEARCH, f"FILENAME CONTAINS {quoted(self.words)} MAX_RESULTS {self.max_results}")

    @classmethod
    def parse(cls, text: str) -> Search:
        terms = _TERM.findall(text)
        if not terms:
            raise Malformed("a search for nothing")
        most = _MAX_RESULTS.search(text)
        return cls(" ".join(terms), int(most[1]) if most else 100)


class Result(NamedTuple):
    share: Share
    nick: str
    host: str
    link: int

    def message(self) -> Message:
        return Message(RESULT, f"{self.share.text} {self.nick} {ip_number(self.host)} {self.link}")

    @classmethod
    def parse(cls, text: str) -> Result:
        name, md5, size, bitrate, frequency, seconds, nick, ip, link, *_ = split(text, 9)
        share = Share(name, md5, number(size), number(bitrate), number(frequency), number(seconds))
        return cls(share, nick, ip_text(number(ip, 2**32 - 1)), number(link, 10))


class Ack(NamedTuple):
    """Where to fetch a file (204), or to whom to push it (501)."""

    nick: str
    host: str
    port: int
    name: str
    md5: str
    link: int

    def message(self, kind: int) -> Message:
        where = f"{self.nick} {ip_number(self.host)} {self.port}"
        return Message(kind, f"{where} {quoted(self.name)} {self.md5} {self.link}")

    @classmethod
    def parse(cls, text: str) -> Ack:
        nick, ip, port, name, md5, link, *_ = split(text, 6)
        return cls(nick, ip_text(number(ip, 2**32 - 1)), number(port, 65535), name, md5, number(link, 10))


def encode_ask(nick: str, name: str, value: int) -> bytes:
    """What follows GET (with the offset) or SEND (with the size) between two users."""
    return f"{nick} {quoted(name)} {value}".encode()


def decode_ask(data: bytes) -> tuple[str, str, int] | None:
    """Nick, name, number; None when it is not complete. It ends where the packet does: nothing says so."""
    match = _ASK.fullmatch(data)
    if match is None:
        if len(data) > MAX_DATA:
            raise Malformed("a request without end")
        return None
    try:
        return match[1].decode(), match[2].decode(), int(match[3])
    except UnicodeDecodeError as error:
        raise Malformed("a request that is no text") from error
