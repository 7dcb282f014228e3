#!/usr/bin/env python3
"""Sums up the perf samples of two servers for each request, by parts of the program.

usage: profile.py FREQUENCY FLOOR.profile REQUESTS IMAGESWAP.profile REQUESTS

The profiles are the output of `perf report --stdio --show-nr-samples --sort dso,symbol`; profile.sh makes them.
"""

import collections
import re
import sys

# The parts, and patterns of their symbols; the first match counts.
PARTS = [
    ("TLS: ciphers", r"ring_core|^ring::"),
    ("TLS: records", r"rustls"),
    ("review: reading JSON", r"imageswap::admission::(json|markers|review)|core::str::converts::from_utf8"),
    ("review: rules, patch, answer", r"imageswap::(admission|rules|image)|base64"),
    ("metrics", r"imageswap::metrics|metrics_util|metrics_exporter"),
    ("connection, routes, limits", r"imageswap::|floor::"),
    ("HTTP", r"h2::|hyper|http::|httparse|http_body"),
    ("runtime", r"tokio|mio::|futures_util|epoll_wait"),
    ("memory: allocating", r"^_?mi_|malloc|bytes::"),
    ("memory: copying", r"mem(move|cpy|set|cmp)"),
    ("clock", r"clock_gettime"),
]
LINE = re.compile(r"\s*[\d.]+%\s+(\d+)\s+\S+\s+\[(.)\] (.*)")


def parts(path):
    """Returns the samples by part."""
    samples = collections.Counter()
    with open(path, encoding="utf-8") as file:
        for count, where, symbol in (found.groups() for found in map(LINE.match, file) if found):
            fitting = (part for part, pattern in PARTS if re.search(pattern, symbol))
            part = "kernel: network, switching" if where == "k" else next(fitting, "other")
            samples[part] += int(count)
    return samples


def main(frequency, floor, floor_requests, webhook, webhook_requests):
    """Prints the table."""
    scales = [1e6 / float(frequency) / int(requests) for requests in (floor_requests, webhook_requests)]
    profiles = [parts(floor), parts(webhook)]
    names = sorted(profiles[1] | profiles[0], key=lambda part: -profiles[1][part])
    print("| part of a request | floor µs | imageswap µs | more µs |\n|---|---|---|---|")
    rows = [(name, *(profile[name] * scale for profile, scale in zip(profiles, scales))) for name in names]
    rows.append(("**all**", *(profile.total() * scale for profile, scale in zip(profiles, scales))))
    for name, of_floor, of_webhook in rows:
        print(f"| {name} | {of_floor:.2f} | {of_webhook:.2f} | {of_webhook - of_floor:+.2f} |")


if len(sys.argv) != 6:
    sys.exit(__doc__.strip())
main(*sys.argv[1:])
