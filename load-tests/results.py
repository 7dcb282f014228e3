#!/usr/bin/env python3
"""Makes figures of what the load tests have measured.

usage: results.py window LOG [START END]  requests in h2load's log, those that ended between two times
       results.py table FILE.csv          medians and ratios of a run, as a table
       results.py json FILE.csv           the same as JSON

The columns of the files are explained in README.md.
"""

import csv
import json
import math
import statistics
import sys

# By the column that names what is compared: what belongs together, and the columns of the table: name,
# heading, how it is written, and what it is given as a ratio to.
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

# What the table shows in another unit than the file.
DIVISORS = {"MiB": 1024, "ms": 1000}


def window(path, start=None, end=None):
    """Prints how many requests succeeded and failed, in how many µs, and their latencies in µs.

    Of requests that ended in [start, end), in µs since 1970, if these are given.
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
    """The least value that at least this share of all values does not exceed; 0 of none."""
    if not ordered:
        return 0
    return ordered[math.ceil(share * len(ordered)) - 1]


def summary(path):
    """Medians of the rounds, and the medians of each round's ratio to the baseline."""
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
        # The first round begins with any of them.
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


ORDER = ["bare", "floor", "imageswap", "policy", "policy-apply"]


def ratios(column, rounds, baseline):
    """What a column has in each round, in relation to the baseline.

    To that of the same round, so that what the machine did besides in that time is in both.
    """
    return [
        float(row[column]) / float(baseline[number][column])
        for number, row in rounds.items()
        if number in baseline and row[column] and float(baseline[number][column] or 0)
    ]


def spread(name, values):
    """The median, the least and the greatest of the values."""
    numbers = [float(value) for value in values if value != ""]
    if not numbers:
        return {name: None}
    median = statistics.median(numbers)
    return {name: median, f"{name}_min": min(numbers), f"{name}_max": max(numbers)}


def table(path):
    """Prints the summary as a table in Markdown; ratios with the least and the greatest."""
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
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def ratio(result, name):
    """A ratio as the table has it; nothing of what the others are compared with."""
    value, least, greatest = (result.get(f"{name}{end}") for end in ("", "_min", "_max"))
    if value is None or value == least == greatest == 1:
        return ""
    return f"{value:.2f} ({least:.2f}-{greatest:.2f})"


def main(arguments):
    """Runs one of the commands."""
    match arguments:
        case ["window", log]:
            window(log)
        case ["window", log, start, end]:
            window(log, int(start), int(end))
        case ["table", path]:
            table(path)
        case ["json", path]:
            print(json.dumps(summary(path)[2], indent=2, ensure_ascii=False))
        case _:
            sys.exit(__doc__.strip())


main(sys.argv[1:])
