#!/usr/bin/env python3
"""Measures the startup time of the webhook, and its memory: at rest, with 100,000 rules, while such a map is
replaced, and with 512 connections.

usage: load-tests/footprint.py [PROGRAM]

PROGRAM is the release build by default (target/release/imageswap). It is started on loopback, with a self-signed
certificate. Prints a table in Markdown; times are medians of several starts. Memory is VmRSS and VmHWM of
/proc/PID/status, so this runs on Linux only.
"""

import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

STARTS = 15
RULES = 100_000
CONNECTIONS = 512
# Timeout for a start, with time for a busy machine.
DEADLINE_SECONDS = 60


def main(program):
    """Prints the table."""
    sample = ROOT / "config/imageswap-maps.conf"
    with tempfile.TemporaryDirectory() as folder:
        large, other = Path(folder, "large/maps.conf"), Path(folder, "other.conf")
        large.parent.mkdir()
        large.write_text(rules("a"), encoding="ascii")
        other.write_text(rules("b"), encoding="ascii")
        rows = [("size of the program", f"{program.stat().st_size / 2**20:.1f} MiB")]
        rows += [("ready after, sample map", ready_times(program, sample))]
        rows += [(f"ready after, {RULES:,} rules", ready_times(program, large))]
        with running(program, sample) as webhook:
            rows += [("resident at rest, sample map", memory(webhook, "VmRSS"))]
            with connections(webhook):
                rows += [(f"resident with {CONNECTIONS} idle connections", memory(webhook, "VmRSS"))]
        with running(program, large) as webhook:
            rows += [(f"resident with {RULES:,} rules", memory(webhook, "VmRSS"))]
            rows += [(f"maximum while {RULES:,} rules are loaded", memory(webhook, "VmHWM"))]
            rows += [("a map of as many rules applies after", replaced(webhook, large, other))]
            rows += [("resident after that", memory(webhook, "VmRSS"))]
            rows += [("maximum until then", memory(webhook, "VmHWM"))]
    print("| what | figure |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


def rules(name):
    """Returns a map of one third exact images, one third registries and one third path prefixes."""
    lines = ["default::mirror.example.com/other"]
    for number in range(1, RULES):
        key = (
            f"[EXACT]{name}-{number}.example.com/team/app:1.27.3",
            f"{name}-{number}.example.com",
            f"{name}-{number}.example.com/team",
        )[number % 3]
        lines.append(f"{key}::mirror.example.com/{number}/target")
    return "\n".join(lines) + "\n"


class Webhook:
    """A running program."""

    def __init__(self, program, maps):
        self.port, self.admin_port = free_ports(2)
        self.begun = time.monotonic()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("IMAGESWAP_")}
        self.process = subprocess.Popen(
            [program, "serve", "--dev", "--log-level", "ERROR", "--maps-file", maps]
            + ["--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin_port}"],
            env=environment,
        )

    def page(self, path):
        """Returns status and text of a page of the admin port; None if it does not answer."""
        url = f"http://127.0.0.1:{self.admin_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except urllib.error.URLError:
            return None, ""

    def until(self, path, expected):
        """Returns the seconds from the start of the program until a page has the expected content."""
        while time.monotonic() - self.begun < DEADLINE_SECONDS:
            status, text = self.page(path)
            if status == 200 and expected in text:
                return time.monotonic() - self.begun
            if self.process.poll() is not None:
                sys.exit("error: the program has ended")
            time.sleep(0.001)
        sys.exit(f"error: {path} has no {expected!r} after {DEADLINE_SECONDS} s")


@contextmanager
def running(program, maps):
    """Starts a program and waits until it is ready."""
    webhook = Webhook(program, maps)
    try:
        webhook.ready = webhook.until("/readyz", "true")
        yield webhook
    finally:
        webhook.process.kill()
        webhook.process.wait()


def ready_times(program, maps):
    """Returns the time from the start of the process until /readyz reports ready."""
    times = []
    for _ in range(STARTS):
        with running(program, maps) as webhook:
            times.append(webhook.ready)
    return f"{statistics.median(times) * 1000:.0f} ms"


def replaced(webhook, maps, other):
    """Returns the time until a replaced map is in use."""
    _, page = webhook.page("/metrics")
    applied = int(re.search(r'map_reloads_total\{result="applied"\} (\d+)', page).group(1))
    webhook.begun = time.monotonic()
    os.replace(other, maps)
    seconds = webhook.until("/metrics", f'map_reloads_total{{result="applied"}} {applied + 1}\n')
    return f"{seconds * 1000:.0f} ms"


@contextmanager
def connections(webhook):
    """Opens idle TLS connections, each after one request."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opened = []
    for _ in range(CONNECTIONS):
        stream = socket.create_connection(("127.0.0.1", webhook.port), DEADLINE_SECONDS)
        stream = context.wrap_socket(stream)
        stream.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream.recv(4096)
        opened.append(stream)
    yield
    for stream in opened:
        stream.close()


def memory(webhook, field):
    """Returns a field of the status of the process, as text."""
    status = Path(f"/proc/{webhook.process.pid}/status").read_text(encoding="ascii")
    kib = int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE).group(1))
    return f"{kib / 1024:.1f} MiB"


def free_ports(count):
    """Returns free ports."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
    sys.exit(__doc__.strip())
main(Path(sys.argv[1]) if len(sys.argv) == 2 else TARGET / "release/imageswap")
