"""Cores that do one odd thing each, to try the shell with."""

from dataclasses import dataclass, field
from typing import ClassVar

from peers.core import Core
from peers.core import Options as CoreOptions

ROLES = {
    "echo": "Echo",
    "crasher": "Crasher",
    "talker": "Talker",
    "hurried": "Hurried",
    "dialler": "Dialler",
    "leaver": "Leaver",
}


class Odd(Core):
    protocol = "odd"
    default_port = 9999
    transports: ClassVar[frozenset[str]] = frozenset({"tcp", "udp"})

    def on_started(self):
        self.emit("ready")


@dataclass
class EchoOptions(CoreOptions):
    size: int = field(default=1, metadata={"help": "how often each byte comes back, 100 % of them"})
    close: bool = field(default=False, metadata={"help": "close after the answer"})
    name: str = field(default="", metadata={"help": "any text"})


class Echo(Odd):
    """Says everything back."""

    role = "echo"
    Options = EchoOptions

    def on_datagram(self, source, data):
        self.send(source, data * self.options.size)

    def on_opened(self, conn, remote, inbound):
        self.emit("opened", conn=conn, inbound=inbound)

    def on_received(self, conn, data):
        self.write(conn, data * self.options.size)
        if self.options.close:
            self.close(conn)

    def on_closed(self, conn, reason):
        self.emit("closed", conn=conn, reason=reason)


class Crasher(Odd):
    """Fails at the verb lookup."""

    role = "crasher"

    def on_command(self, op, verb, args):
        self.emit("op_start", op=op)
        raise ZeroDivisionError("of all things")


class Leaver(Odd):
    """Ends by itself at the first order, after goodbye."""

    role = "leaver"
    verbs = frozenset({"lookup", "stop"})

    def on_command(self, op, verb, args):
        if verb == "stop":
            self.emit("goodbye")
        else:
            self.exit()


class Talker(Odd):
    """Has very much to say, and says goodbye."""

    role = "talker"
    verbs = frozenset({"lookup", "stop"})

    def on_command(self, op, verb, args):
        if verb == "stop":
            self.emit("goodbye")
            return
        for number in range(int(args["item"])):
            self.emit("word", number=number, text="x" * 1000)


class Hurried(Odd):
    """Always has an alarm that is due at once."""

    role = "hurried"
    rounds = 0

    def on_started(self):
        super().on_started()
        self.set_timer("now", 0.0)

    def on_timer(self, name):
        self.set_timer("now", 0.0)
        self.rounds += 1
        if self.rounds == 100:
            self.emit("hundred")

    def on_command(self, op, verb, args):
        self.emit("state", op=op, state={"rounds": self.rounds})


class Dialler(Odd):
    """Dials its bootstrap, tells how it ends; closes one stream in the moment in which it asks for it."""

    role = "dialler"

    def on_started(self):
        super().on_started()
        for address in self.bootstrap:
            self.connect(address)
        if self.bootstrap:
            self.close(self.connect(self.bootstrap[0]))

    def on_opened(self, conn, remote, inbound):
        self.emit("opened", conn=conn, remote=str(remote), inbound=inbound)

    def on_closed(self, conn, reason):
        self.emit("closed", conn=conn, reason=reason)
