"""bootsector.py DISK BOOT.IMG CORE.IMG: make a raw disk with one file system at 1 MiB bootable by GRUB on a BIOS.

Source: the GNU GRUB manual, "Images": boot.img is the first sector and loads core.img from the sectors after it; the
partition table of that first sector has four entries of 16 bytes from offset 0x1be (status, first CHS, type, last CHS,
first sector, number of sectors) and the signature 55 aa at its end.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

SECTOR = 512
FIRST = 2048  # the partition begins at 1 MiB
LINUX, ACTIVE = 0x83, 0x80
BEYOND_CHS = b"\xfe\xff\xff"  # "use the sector numbers instead"


def main(disk: Path, boot: Path, core: Path) -> None:
    sectors = disk.stat().st_size // SECTOR - FIRST
    entry = struct.pack("<B3sB3sII", ACTIVE, BEYOND_CHS, LINUX, BEYOND_CHS, FIRST, sectors)
    sector = bytearray(boot.read_bytes()[:SECTOR])
    sector[0x1BE:] = entry + bytes(3 * 16) + b"\x55\xaa"
    image = core.read_bytes()
    if len(image) > (FIRST - 1) * SECTOR:
        raise SystemExit(f"{core} has {len(image)} bytes: more than fit before the partition")
    with disk.open("r+b") as raw:
        raw.write(sector + image)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
