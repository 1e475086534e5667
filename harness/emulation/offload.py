"""Hardware offloads off: packets on a link are those a real wire would carry.

With them on, TCP hands over packets of up to 64 KB that count as one for loss, rate and delay, and checksums are left
blank for hardware that is not there. Turning off transmit checksums turns off TSO with it, which rests on them.

Source: linux/ethtool.h, linux/sockios.h.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

from harness.errors import EmulationError

_SIOCETHTOOL = 0x8946
_GLINK, _GTXCSUM, _STXCSUM, _GTSO, _GGSO, _SGSO, _GGRO, _SGRO = 0x0A, 0x16, 0x17, 0x1E, 0x23, 0x24, 0x2B, 0x2C
_VALUE = struct.Struct("=II")  # struct ethtool_value: command, data


class Offloads:
    """Asks and sets offloads of interfaces in the namespace in which this object was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._value = ctypes.create_string_buffer(_VALUE.size)

    def close(self) -> None:
        self._socket.close()

    def disable(self, interface: str) -> None:
        """Raises EmulationError when the kernel does not do it, or says afterwards that it has not."""
        self._call(interface, _STXCSUM, 0)
        for ask, turn in ((_GGSO, _SGSO), (_GGRO, _SGRO)):
            if self._call(interface, ask):
                self._call(interface, turn, 0)
        left = [name for name, ask in _ASK.items() if self._call(interface, ask)]
        if left:
            raise EmulationError(f"offloads of {interface} are still on: {', '.join(left)}")

    def notice_carrier(self, interface: str) -> None:
        """Have the kernel act on a carrier that has come, now; by itself it looks at a hundred in a second.

        (net/core/link_watch.c; asking for the link's state is what makes it, since 6.9. Harmless before.)
        """
        self._call(interface, _GLINK)

    def _call(self, interface: str, command: int, data: int = 0) -> int:
        _VALUE.pack_into(self._value, 0, command, data)
        request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(self._value))
        try:
            fcntl.ioctl(self._socket, _SIOCETHTOOL, request)
        except OSError as error:
            raise EmulationError(f"cannot change offloads of {interface}: {error.strerror}") from error
        result: int = _VALUE.unpack_from(self._value)[1]
        return result


_ASK = {"transmit checksums": _GTXCSUM, "TSO": _GTSO, "GSO": _GGSO, "GRO": _GGRO}
