# SPDX-License-Identifier: BSD-2-Clause
"""What the machine protocol costs, for `tests/perf/bench --only control`: one hart under -icount (sleep=on: an idle machine
waits for the client) with no VM running, so that what the hart ran (query-host's ran-ns, a nanosecond an instruction) is
the protocol's. Time of the host's devices that is charged to no thread is not in it."""
import base64
import json
import zlib

import harness
from qmp import Client

TRIPS = 500
UPLOAD = 4 << 20


def ran(c):
    return c.execute("query-host")["harts"][0]["ran-ns"]


def per_trip(c, trips):
    """Instructions from a query-status's bytes to its answer's, the client waiting for each."""
    def cost(n):
        before = ran(c)
        for _ in range(n):
            c.execute("query-status")
        return ran(c) - before

    few = cost(10)
    return (cost(10 + trips) - few) / trips


def per_byte(c, size):
    """Instructions for each byte of a bundle that is sent, with and without its checksum."""
    data = bytes(i * 7 & 0xFF for i in range(256)) * (size // 256)
    results = []
    for checksum in ({}, {"crc32": zlib.crc32(data)}, {"sha256": "00" * 32}):
        answer = c.execute("bundle-open", size=size, **checksum)
        number, chunk = answer["bundle"], answer["chunk"]
        messages = [json.dumps({"execute": "bundle-write", "arguments": {
            "bundle": number, "offset": at, "data": base64.b64encode(data[at:at + chunk]).decode()}})
                    for at in range(0, size, chunk)]
        before = ran(c)
        for message in messages:
            c.send(message)
            assert "return" in c.receive()
        results.append((ran(c) - before) / size)
        c.execute("bundle-close", bundle=number)
    return results


def rows(tmp):
    """[(row, value)]"""
    path = f"{tmp}/control"
    bundle = harness.make_bundle(f"{tmp}/control.itb", harness.vm("one", autostart=False))
    args = harness.control_ports([path]) + ["-icount", "shift=0,sleep=on"]
    with harness.Machine("bench-control", bundle=bundle, append="keep", args=args) as m:
        m.expect(harness.SHELL_PROMPT, 60)
        c = Client(path, timeout=120)
        trip = per_trip(c, TRIPS)
        plain, crc, sha = per_byte(c, UPLOAD)
    return [
        ("control round trip: query-status, bytes in to answer out", f"{trip:.0f}"),
        ("upload, for each byte of the bundle", f"{plain:.1f}"),
        ("the same with its crc32", f"{crc:.1f}"),
        ("the same with its sha256", f"{sha:.1f}"),
    ]
