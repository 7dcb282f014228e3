#!/usr/bin/env python3
"""Draws figures from the results of load tests and benchmarks, as SVG on the standard output.

usage: plot.py decisions [SOURCE]      cost of a decision against the number of rules
       plot.py latency COMPARE.csv     latency against connections, from compare.sh
       plot.py cpu COMPARE.csv         processor time of a request against connections, from compare.sh

SOURCE is the folder with the estimates of `cargo bench --bench decision --bench globs` (default
target/criterion), or a CSV file with the columns series, rules and nanoseconds. The names of the series are those
of criterion: decision/exact, or glob/distinct-literals, match.
"""

import csv
import json
import math
import pathlib
import statistics
import sys
from html import escape

# Colours for colour-blind readers too (Okabe and Ito). Each series also has its own marker.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F"]
MARKERS = ["circle", "square", "diamond", "triangle", "bar"]

# Sizes in pixels: a panel without its axes, and its margins.
WIDTH, HEIGHT = 380, 280
LEFT, TOP, BOTTOM, GAP = 80, 72, 64, 30
LEGEND_LINE = 20
LETTER_WIDTH = 8

# Minimum ratio of two labelled values of an axis, so that labels do not touch.
LEAST_TICK_RATIO = 1.5


def decisions(source):
    """Returns the median of each benchmark by the number of rules. Globs have their own panel."""
    panels = {}
    for name, rules, nanoseconds in rows(source) if source.is_file() else estimates(source):
        kind, _, rest = name.partition("/")
        series = panels.setdefault(PANELS.get(kind, ""), {})
        series.setdefault(rest or name, []).append((rules, nanoseconds))
    if not panels:
        sys.exit(f"{source}: there are no decisions; run `cargo bench --bench decision --bench globs`")
    return {
        "title": "Cost of one decision",
        "description": "Median time of one decision against the number of rules in the map.",
        "x": "rules in the map",
        "y": "nanoseconds",
        "panels": panels,
    }


PANELS = {"decision": "Exact, registry and other rules", "glob": "[REPLACE] globs"}


def rows(file):
    """Yields name of the series, number of rules and nanoseconds from a CSV file."""
    for row in read_csv(file):
        yield row["series"], float(row["rules"]), float(row["nanoseconds"])


def estimates(folder):
    """Yields the same from criterion: a folder for each benchmark, with a description and the estimates."""
    for file in sorted(folder.glob("**/new/benchmark.json")):
        benchmark = json.loads(file.read_text(encoding="utf-8"))
        name = benchmark["group_id"]
        if name.split("/")[0] not in PANELS:
            continue
        estimate = json.loads(file.with_name("estimates.json").read_text(encoding="utf-8"))
        if benchmark["function_id"]:
            name += f", {benchmark['function_id']}"
        yield name, float(benchmark["value_str"]), estimate["median"]["point_estimate"]


def latency(source):
    """Returns median and 99th percentile of each server, with a panel for each protocol."""
    columns = {"p50_us": "p50", "p99_us": "p99"}
    return {
        "title": "Latency of a review, closed loop",
        "description": "Latency against connections, each of which posts its next review when it has "
        "the answer to the one before; medians of the rounds.",
        "x": "connections",
        "y": "microseconds",
        "panels": compared(source, columns),
    }


def cpu(source):
    """Returns the processor time of the servers."""
    return {
        "title": "Processor time of a review",
        "description": "User and system time of the server for each request, against connections; "
        "medians of the rounds.",
        "x": "connections",
        "y": "microseconds of CPU",
        "is_linear": True,
        "panels": compared(source, {"cpu_us_per_request": ""}),
    }


def compared(source, columns):
    """Returns columns of compare.sh by protocol, then by server and column, as medians of the rounds."""
    values = {}
    for row in read_csv(source):
        for column, name in columns.items():
            series = f"{row['server']} {name}".strip()
            key = (PROTOCOLS.get(row["protocol"], row["protocol"]), series, int(row["connections"]))
            values.setdefault(key, []).append(float(row[column]))
    panels = {}
    for (protocol, series, connections), found in sorted(values.items()):
        point = (connections, statistics.median(found))
        panels.setdefault(protocol, {}).setdefault(series, []).append(point)
    return panels


PROTOCOLS = {"http1": "HTTP/1.1", "http2": "HTTP/2"}


def read_csv(path):
    """Returns the rows of a file."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}; `load-tests/compare.sh` makes {DEFAULT_CSV}")


DEFAULT_CSV = "target/load-tests/compare.csv"


class Axis:
    """A logarithmic axis for all values, with a length in pixels."""

    suffix = " (log)"

    def __init__(self, values, pixels, whole_decades=False):
        self.pixels = pixels
        low, high = (math.log10(end) for end in (min(values), max(values)))
        if whole_decades:
            low, high = math.floor(low), math.ceil(high)
        if low == high:
            low, high = low - 0.5, high + 0.5
        margin = 0 if whole_decades else (high - low) * 0.05
        self.low, self.high = low - margin, high + margin

    def at(self, value):
        """Returns the pixels from the start of the axis to the value."""
        return (math.log10(value) - self.low) / (self.high - self.low) * self.pixels

    def ticks(self):
        """Returns 1, 2 and 5 times each power of ten, or only the powers if there are many."""
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = (1, 2, 5) if self.high - self.low < 4 else (1,)
        ticks = (step * 10.0**power for power in powers for step in steps)
        slack = 1e-9
        return [tick for tick in ticks if self.low - slack <= math.log10(tick) <= self.high + slack]


class LinearAxis:
    """An axis from zero, with a length in pixels."""

    suffix = ""

    def __init__(self, values, pixels):
        self.pixels = pixels
        power = 10.0 ** math.floor(math.log10(max(values)))
        # The smallest step that needs at most eight ticks.
        fits = (share * power for share in (0.1, 0.2, 0.5, 1, 2) if max(values) <= 8 * share * power)
        self.step = next(fits)
        self.high = math.ceil(max(values) / self.step) * self.step

    def at(self, value):
        """Returns the pixels from the start of the axis to the value."""
        return value / self.high * self.pixels

    def ticks(self):
        """Returns zero and each step."""
        return [index * self.step for index in range(round(self.high / self.step) + 1)]


def spaced(values):
    """Returns the values that have room for a label."""
    kept = []
    for value in sorted(set(values)):
        if not kept or value / kept[-1] >= LEAST_TICK_RATIO:
            kept.append(value)
    return kept


def chart(figure):
    """Returns the whole drawing."""
    panels = figure["panels"]
    points = [p for series in panels.values() for line in series.values() for p in line]
    x_axis = Axis([x for x, _ in points], WIDTH)
    y_values = [y for _, y in points]
    if figure.get("is_linear"):
        y_axis = LinearAxis(y_values, HEIGHT)
    else:
        y_axis = Axis(y_values, HEIGHT, whole_decades=True)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    styles = {
        name: (COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)])
        for index, name in enumerate(names)
    }
    column = max(len(name) for name in names) * LETTER_WIDTH + 50
    width = LEFT + len(panels) * (WIDTH + GAP)
    columns = max(1, min(len(names), int((width - LEFT) // column)))
    rows = math.ceil(len(names) / columns)
    height = TOP + HEIGHT + BOTTOM + rows * LEGEND_LINE + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title description" '
        'font-family="sans-serif" font-size="13" fill="#222">',
        f'<title id="title">{escape(figure["title"])}</title>',
        f'<desc id="description">{escape(figure["description"] + " " + in_words(panels))}</desc>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(LEFT, 26, figure["title"], size=17, weight="bold"),
        f'<text transform="translate(20 {TOP + HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f'{escape(figure["y"] + y_axis.suffix)}</text>',
    ]
    for index, (title, series) in enumerate(panels.items()):
        left = LEFT + index * (WIDTH + GAP)
        out += panel(left, title, series, x_axis, y_axis, styles, is_first=index == 0)
        out.append(text(left + WIDTH / 2, TOP + HEIGHT + 44, figure["x"] + x_axis.suffix, "middle"))
    for index, name in enumerate(names):
        x = LEFT + index % columns * column
        y = TOP + HEIGHT + BOTTOM + index // columns * LEGEND_LINE + 6
        colour, shape = styles[name]
        out.append(f'<path d="M{x} {y}h28" stroke="{colour}" stroke-width="2"/>')
        out.append(marker(shape, x + 14, y, colour))
        out.append(text(x + 36, y + 4, name))
    return "\n".join([*out, "</svg>"])


def panel(left, title, series, x_axis, y_axis, styles, is_first):
    """Draws a pair of axes with its lines."""
    bottom = TOP + HEIGHT
    out = [text(left, TOP - 10, title, weight="bold")] if title else []
    for tick in y_axis.ticks():
        y = bottom - y_axis.at(tick)
        out.append(f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#ddd"/>')
        if is_first:
            out.append(text(left - 8, y + 4, plain(tick), "end"))
    for tick in spaced(x for line in series.values() for x, _ in line):
        x = left + x_axis.at(tick)
        out.append(f'<path d="M{x:.1f} {TOP}v{HEIGHT}" stroke="#eee"/>')
        out.append(text(x, bottom + 20, plain(tick), "middle"))
    out.append(f'<path d="M{left} {TOP}V{bottom}H{left + WIDTH}" fill="none" stroke="#222"/>')
    for name, line in series.items():
        colour, shape = styles[name]
        at = [(left + x_axis.at(x), bottom - y_axis.at(y), x, y) for x, y in sorted(line)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in at)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for left_of, top_of, x, y in at:
            hint = f"{name}: {plain(y)} at {plain(x)}"
            out.append(marker(shape, left_of, top_of, colour, hint))
    return out


def in_words(panels):
    """Returns the first and last value of each line, for readers who cannot see the drawing."""
    sentences = []
    for title, series in panels.items():
        for name, line in series.items():
            (x, y), (last_x, last_y) = min(line), max(line)
            of = f"{title}, {name}" if title else name
            sentences.append(f"{of}: {plain(y)} at {plain(x)}, {plain(last_y)} at {plain(last_x)}.")
    return " ".join(sentences)


def plain(number):
    """Returns a number with three significant digits."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def text(x, y, content, anchor="start", size=13, weight="normal"):
    """Returns a line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}">{escape(content)}</text>'
    )


def marker(shape, x, y, colour, hint=""):
    """Returns a point; `hint` is its tooltip."""
    paths = {
        "circle": f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "diamond": f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z",
        "square": f"M{x - 4:.1f} {y - 4:.1f}h8v8h-8z",
        "bar": f"M{x - 6:.1f} {y - 3:.1f}h12v6h-12z",
        "triangle": f"M{x:.1f} {y - 5:.1f}l5 9h-10z",
    }
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return f'<path d="{paths[shape]}" fill="{colour}" stroke="#fff">{title}</path>'


def main(arguments):
    """Draws one of the figures."""
    match arguments:
        case ["decisions", *source] if len(source) < 2:
            figure = decisions(pathlib.Path(*source or ["target/criterion"]))
        case ["latency", source]:
            figure = latency(source)
        case ["cpu", source]:
            figure = cpu(source)
        case _:
            sys.exit(__doc__.strip())
    print(chart(figure))


main(sys.argv[1:])
