#!/usr/bin/env python3
"""Evaluates the measurements of the load tests.

usage: results.py window LOG [START END]  requests in h2load's log that ended between two times
       results.py table FILE.csv          medians and ratios of a run, as a table
       results.py json FILE.csv           the same as JSON
       results.py soak FILE.csv LOG START END  comparison of the first and the last minutes, as a table

The columns of the files are explained in README.md.
"""

import csv
import json
import math
import statistics
import sys

# The comparisons, by the column with the names of the competitors: the columns that group rows, and the columns of
# the table with name, heading, format, and the baselines of their ratios.
COMPARISONS = {
    "server": {
        "group": ["protocol", "connections", "streams"],
        "columns": [
            ("requests_per_second", "requests/s", "{:,.0f}", ["floor"]),
            ("cpu_us_per_request", "CPU µs/request", "{:.1f}", ["floor"]),
            ("p50_us", "p50 µs", "{:,.0f}", ["floor"]),
            ("p99_us", "p99 µs", "{:,.0f}", ["floor"]),
            ("p999_us", "p99.9 µs", "{:,.0f}", ["floor"]),
            ("rss_kib", "RSS MiB", "{:.1f}", ["floor"]),
            ("other_cpu_percent", "other %", "{:.1f}", []),
        ],
    },
    "peer": {
        "group": ["protocol"],
        "columns": [
            ("cpu_us_per_request", "CPU µs/review", "{:,.1f}", ["imageswap"]),
            ("requests_per_second", "reviews/s", "{:,.0f}", []),
            ("p50_us", "p50 ms", "{:.2f}", []),
            ("p99_us", "p99 ms", "{:.2f}", []),
            ("rest_rss_kib", "at rest MiB", "{:.1f}", []),
            ("rss_kib", "loaded MiB", "{:.1f}", []),
            ("ready_us", "ready ms", "{:.0f}", []),
            ("other_cpu_percent", "other %", "{:.1f}", []),
        ],
    },
    "variant": {
        "group": [],
        "columns": [
            ("creates_per_second", "creates/s", "{:,.0f}", ["bare", "floor"]),
            ("p50_us", "p50 ms", "{:.1f}", ["bare"]),
            ("p99_us", "p99 ms", "{:.1f}", ["bare"]),
            ("apiserver_cpu_us", "API server CPU µs", "{:,.0f}", []),
            ("etcd_cpu_us", "etcd CPU µs", "{:,.0f}", []),
            ("webhook_cpu_us", "webhook CPU µs", "{:,.0f}", []),
            ("webhook_calls_per_create", "calls/create", "{:.2f}", []),
            ("webhook_mean_us", "call mean ms", "{:.1f}", []),
            ("other_cpu_percent", "other %", "{:.1f}", []),
        ],
    },
}

# Divisors for columns whose unit in the table differs from that in the file.
DIVISORS = {"MiB": 1024, "ms": 1000}


def window(path, start=None, end=None):
    """Prints the number of successful and failed requests, the duration in µs, and the latencies in µs.

    Counts only requests that ended in [start, end), in µs since 1970, if these are given.
    """
    requests = []
    with open(path, encoding="ascii") as log:
        for line in log:
            begun, status, latency = map(int, line.split("\t")[:3])
            requests.append((begun, status, latency))
    if start is None:
        start = min((begun for begun, _, _ in requests), default=0)
        end = 1 + max((begun + latency for begun, _, latency in requests), default=0)
    within = [request for request in requests if start <= request[0] + request[2] < end]
    latencies = sorted(latency for _, status, latency in within if 200 <= status < 300)
    shown = [percentile(latencies, share) for share in (0.5, 0.99, 0.999, 1)]
    print(len(latencies), len(within) - len(latencies), end - start, *shown)


def percentile(ordered, share):
    """Returns the least value that at least this share of all values does not exceed; 0 if there are no values."""
    if not ordered:
        return 0
    return ordered[math.ceil(share * len(ordered)) - 1]


def summary(path):
    """Returns the medians of the rounds, and the medians of the ratio of each round to the baseline."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        sys.exit(f"{path}: there are no rows")
    kind = next((kind for kind in COMPARISONS if kind in rows[0]), None)
    if kind is None:
        sys.exit(f"{path}: there is no column {' or '.join(COMPARISONS)}")
    comparison = COMPARISONS[kind]
    groups = {}
    for row in rows:
        key = tuple(row[name] for name in comparison["group"])
        groups.setdefault(key, {}).setdefault(row[kind], {})[row["round"]] = row
    results = []
    for key, competitors in groups.items():
        # The order in the file depends on the first round, so sort by a fixed order.
        for name in sorted(competitors, key=ORDER.index):
            rounds = competitors[name]
            result = dict(zip(comparison["group"], key)) | {kind: name, "rounds": len(rounds)}
            result["failed"] = sum(int(row["failed"]) for row in rounds.values())
            for column, _, _, baselines in comparison["columns"]:
                result |= spread(column, [row[column] for row in rounds.values()])
                for baseline in baselines:
                    found = ratios(column, rounds, competitors.get(baseline, {}))
                    result |= spread(f"{column}_to_{baseline}", found)
            results.append(result)
    return kind, comparison, results


ORDER = [
    "bare",
    "floor",
    "imageswap",
    "policy",
    "policy-apply",
    "harbor-container-webhook",
    "mutating-registry-webhook",
    "gatekeeper",
]


def ratios(column, rounds, baseline):
    """Returns the ratio of a column to the baseline in each round.

    The baseline is that of the same round, so that other load of the machine affects both.
    """
    return [
        float(row[column]) / float(baseline[number][column])
        for number, row in rounds.items()
        if number in baseline and row[column] and float(baseline[number][column] or 0)
    ]


def spread(name, values):
    """Returns median, minimum and maximum of the values."""
    numbers = [float(value) for value in values if value != ""]
    if not numbers:
        return {name: None}
    median = statistics.median(numbers)
    return {name: median, f"{name}_min": min(numbers), f"{name}_max": max(numbers)}


def table(path):
    """Prints the summary as a table in Markdown; ratios have minimum and maximum."""
    kind, comparison, results = summary(path)
    headings = [*comparison["group"], kind]
    for _, heading, _, baselines in comparison["columns"]:
        headings += [heading, *(f"/ {baseline}" for baseline in baselines)]
    lines = [[*headings, "failed", "rounds"]]
    for result in results:
        line = [result[name] for name in comparison["group"]] + [result[kind]]
        for column, heading, form, baselines in comparison["columns"]:
            value = result[column]
            divisor = DIVISORS.get(heading.split()[-1], 1)
            line.append("" if value is None else form.format(value / divisor))
            line += [ratio(result, f"{column}_to_{baseline}") for baseline in baselines]
        lines.append([*line, str(result["failed"]), str(result["rounds"])])
    print_table(lines)


def print_table(lines):
    """Prints a table in Markdown; the first line contains the headings."""
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    for line in [lines[0], ["-" * width for width in widths], *lines[1:]]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def ratio(result, name):
    """Returns a ratio as text for the table; empty for the baseline itself."""
    value, least, greatest = (result.get(f"{name}{end}") for end in ("", "_min", "_max"))
    if value is None or value == least == greatest == 1:
        return ""
    return f"{value:.2f} ({least:.2f}-{greatest:.2f})"


# Length of the first and the last minutes in µs, and their maximum share of the whole time.
SPAN_US = 300 * 10**6
SPAN_SHARE = 1 / 3
# Maximum growth of memory from the first to the last minutes: the greater of a share and a number of KiB.
MEMORY_GROWTH_SHARE = 0.2
MEMORY_GROWTH_KIB = 8 * 1024


def soak(samples_path, log_path, start, end):
    """Prints the first minutes, the last minutes and the whole of a long load; returns true if nothing grew.

    The lines of the log are in the format of h2load: start time, status and latency of a request.
    """
    with open(samples_path, encoding="utf-8", newline="") as file:
        samples = [{name: int(value) for name, value in row.items()} for row in csv.DictReader(file)]
    with open(log_path, encoding="ascii") as file:
        requests = [tuple(map(int, line.split("\t"))) for line in file]
    span = min(SPAN_US, int((end - start) * SPAN_SHARE))
    during = [sample for sample in samples if start <= sample["time_us"] < end]
    first = span_of([sample for sample in during if sample["time_us"] < start + span], requests)
    last = span_of([sample for sample in during if sample["time_us"] >= end - span], requests)
    whole = span_of(during, requests)
    time = f"{span / 60e6:.0f} min" if span >= 60e6 else f"{span / 1e6:.0f} s"
    lines = [["", f"first {time}", f"last {time}", "all"]]
    for name, heading, form in SOAK_ROWS:
        lines.append([heading, *(form.format(part[name]) for part in (first, last, whole))])
    print_table(lines)
    found = growth(first, last) + losses(samples[-1], requests)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    return not found


SOAK_ROWS = [
    ("requests", "requests", "{:,}"),
    ("requests_per_second", "requests/s", "{:,.1f}"),
    ("failed", "failed", "{}"),
    ("p50_us", "p50 µs", "{:,}"),
    ("p99_us", "p99 µs", "{:,}"),
    ("p999_us", "p99.9 µs", "{:,}"),
    ("max_us", "longest µs", "{:,}"),
    ("cpu_us_per_request", "CPU µs/request", "{:.1f}"),
    ("rss_mib", "RSS MiB", "{:.1f}"),
    ("peak_rss_mib", "highest RSS MiB", "{:.1f}"),
    ("open_files", "open files", "{}"),
    ("threads", "threads", "{}"),
    ("connections", "connections", "{}"),
    ("maps_applied", "maps applied", "{}"),
    ("certificates_applied", "certificates applied", "{}"),
    ("reloads_failed", "reloads failed", "{}"),
]


def span_of(samples, requests):
    """Returns the figures between the first and the last of some samples of the process."""
    if len(samples) < 2:
        sys.exit("error: too few samples of the process; sample more often, or for longer")
    begun, ended = samples[0], samples[-1]
    within = [
        request for request in requests if begun["time_us"] <= request[0] < ended["time_us"]
    ]
    if not within:
        sys.exit("error: there are no requests in the first minutes, or in the last")
    latencies = sorted(latency for _, status, latency in within if 200 <= status < 300)
    shown = [percentile(latencies, share) for share in (0.5, 0.99, 0.999, 1)]
    figures = dict(zip(("p50_us", "p99_us", "p999_us", "max_us"), shown))
    for name in ("maps_applied", "certificates_applied", "reloads_failed"):
        figures[name] = ended[name] - begun[name]
    # The minimum: open files at all times, without short connections.
    for name in ("open_files", "threads", "connections"):
        figures[name] = min(sample[name] for sample in samples)
    return figures | {
        "requests": len(within),
        "failed": len(within) - len(latencies),
        "requests_per_second": len(within) * 1e6 / (ended["time_us"] - begun["time_us"]),
        "cpu_us_per_request": (ended["cpu_us"] - begun["cpu_us"]) / len(within),
        "rss_mib": statistics.median(sample["rss_kib"] for sample in samples) / 1024,
        "peak_rss_mib": ended["peak_rss_kib"] / 1024,
    }


def growth(first, last):
    """Returns the growth from the first to the last minutes that is too large, one line each."""
    found = []
    before, after = first["rss_mib"], last["rss_mib"]
    if after > before + max(before * MEMORY_GROWTH_SHARE, MEMORY_GROWTH_KIB / 1024):
        found.append(f"the memory grew from {before:.1f} to {after:.1f} MiB")
    if last["open_files"] > first["open_files"]:
        found.append(f"open files grew from {first['open_files']} to {last['open_files']}")
    return found


def losses(end, requests):
    """Returns what failed at any time, and what was not applied at the last sample, one line each."""
    found = []
    if failed := sum(not 200 <= status < 300 for _, status, _ in requests):
        found.append(f"{failed} of {len(requests)} requests failed")
    for name in ("maps", "certificates"):
        applied, written = end[f"{name}_applied"], end[f"{name}_written"]
        if applied != written:
            found.append(f"{applied} of {written} {name} were applied")
    return found


def main(arguments):
    """Runs a command."""
    match arguments:
        case ["window", log]:
            window(log)
        case ["window", log, start, end]:
            window(log, int(start), int(end))
        case ["table", path]:
            table(path)
        case ["soak", samples, log, start, end]:
            sys.exit(0 if soak(samples, log, int(start), int(end)) else 1)
        case ["json", path]:
            print(json.dumps(summary(path)[2], indent=2, ensure_ascii=False))
        case _:
            sys.exit(__doc__.strip())


main(sys.argv[1:])
