# SPDX-License-Identifier: BSD-2-Clause
"""Reads the log that QEMU's blklogwrites driver keeps (the format of Linux's dm-log-writes) and replays its beginning."""
import struct

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def options(image, log, node="disk0"):
    """QEMU's words for a host disk whose writes are logged."""
    return ["-blockdev", f"driver=file,filename={image},node-name={node}-file,discard=unmap",
            "-blockdev", f"driver=file,filename={log},node-name={node}-log",
            "-blockdev", f"driver=blklogwrites,file={node}-file,log={node}-log,log-sector-size=512,discard=unmap,node-name={node}",
            "-device", f"virtio-blk-device,drive={node}"]


def entries(log):
    """(flags, first byte, length, data) of each entry; data is None where there is none."""
    with open(log, "rb") as file:
        magic, version, count, size = struct.unpack("<QQQI", file.read(28))
        assert magic == MAGIC and version == 1, "no log of writes"
        at = size
        for _ in range(count):
            file.seek(at)
            sector, sectors, flags, _ = struct.unpack("<QQQQ", file.read(32))
            data = None
            at += size
            if not flags & DISCARD and sectors:
                file.seek(at)
                data = file.read(sectors * size)
                at += sectors * size
            yield flags, sector * size, sectors * size, data


def apply(image, entry):
    """image: a file open for writing."""
    flags, at, length, data = entry
    if data is not None:
        image.seek(at)
        image.write(data)
    elif flags & DISCARD and length:
        image.seek(at)
        image.write(bytes(length))
