#!/usr/bin/env python3
"""Shows what reviews wait for while the registry of their new images is stopped and started again.

usage: load-tests/registry-outage.py [PROGRAM]

PROGRAM is the release build by default (target/release/imageswap). It serves with IMAGESWAP_VERIFY_TARGET=fallback and
the default timeout of 500 ms. The registry is `docker-registry` of Debian. vegeta posts 500 reviews a second for 70
seconds: half of them with images that the registry has, half with images that it does not have, all of them different.
The registry is killed after 10 seconds, started again after 20, and halted after 50, so that it accepts connections and
does not answer. Prints a table in Markdown. Exit code 1 if a review
was refused, failed, or took longer than the timeout and 50 ms.
"""

import base64
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

RATE = 500
TIMEOUT_MS, SLACK_MS = 500, 50
# The third phase is long enough for the registry to be asked again: it is left alone for 10 s, and for 20 s after another
# failure.
PHASES = {"before": 10, "registry killed": 10, "registry back": 30, "registry halted": 20}
TAGS = 100
# Timeout for a start, with time for a busy machine.
DEADLINE_SECONDS = 60


def main(program):
    """Prints the table, and returns the exit code."""
    vegeta = shutil.which("vegeta", path=f"{TARGET / 'tools/bin'}:{os.environ['PATH']}")
    registry_program = shutil.which("docker-registry")
    for name, found in [("vegeta", vegeta), ("docker-registry", registry_program)]:
        if not found:
            print(f"error: {name} is not on the path", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        registry = Registry(registry_program, folder)
        registry.start()
        registry.fill()
        maps = folder / "maps.conf"
        maps.write_text(f"default::{registry.address}\n", encoding="ascii")
        webhook = Webhook(program, maps, registry.address)
        try:
            results = attack(vegeta, folder, webhook, registry)
            metrics = webhook.metrics()
        finally:
            webhook.stop()
            registry.kill()
    return report(results, metrics)


class Registry:
    """A registry with one image, of `TAGS` tags."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.address = f"127.0.0.1:{free_port()}"
        self.config = folder / "registry.yml"
        self.config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
            f"http: {{addr: '{self.address}'}}\n",
            encoding="ascii",
        )
        self.process = None

    def start(self):
        """Starts the program, and waits until it answers."""
        arguments = [self.program, "serve", self.config]
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        poll("the registry", lambda: urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5))

    def kill(self):
        """Ends the program at once."""
        self.process.kill()
        self.process.wait()

    def fill(self):
        """Pushes the image."""
        config = b"{}"
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        upload = self.send("POST", f"http://{self.address}/v2/present/app/blobs/uploads/")
        location = upload.headers["Location"]
        self.send("PUT", f"{location}&digest={digest}", config, "application/octet-stream")
        kind = "application/vnd.oci.image.manifest.v1+json"
        described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": described, "layers": []}
        for tag in range(TAGS):
            url = f"http://{self.address}/v2/present/app/manifests/{tag}"
            self.send("PUT", url, json.dumps(manifest).encode(), kind)

    @staticmethod
    def send(method, url, body=None, kind=None):
        """Sends a request, and returns the answer."""
        headers = {"Content-Type": kind} if kind else {}
        request = urllib.request.Request(url, body, headers, method=method)
        return urllib.request.urlopen(request, timeout=30)


class Webhook:
    """The running program."""

    def __init__(self, program, maps, registry):
        arguments = [
            program, "serve", "--dev", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", f"--maps={maps}",
            "--verify-target=fallback", f"--registry-plain-http={registry}", "--log-format=json",
        ]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if found := re.search(r'"listen":"([^"]+)","admin_listen":"([^"]+)"', line):
                self.address, self.admin = found.groups()
                break
        else:
            raise RuntimeError("the program has ended")
        # Nobody reads the rest of the log, but it has to go somewhere.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        poll("the webhook", lambda: urllib.request.urlopen(f"http://{self.admin}/readyz", timeout=5))

    def metrics(self):
        """Returns the metrics of checks, as lines."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        return [line for line in lines if line.startswith(("imageswap_target_checks_total", "imageswap_target_answers"))]

    def stop(self):
        """Ends the program."""
        self.process.terminate()
        self.process.wait(timeout=DEADLINE_SECONDS)


def attack(vegeta, folder, webhook, registry):
    """Posts the reviews, and returns the lines of vegeta's CSV."""
    targets, output = folder / "targets.json", folder / "results.bin"
    with targets.open("w", encoding="ascii") as file:
        for number in range(RATE * sum(PHASES.values())):
            print(json.dumps(target(webhook.address, number)), file=file)
    arguments = [
        vegeta, "attack", "-format=json", f"-rate={RATE}", f"-duration={sum(PHASES.values())}s", "-insecure",
        "-connections=64", f"-targets={targets}", f"-output={output}",
    ]
    with subprocess.Popen(arguments) as process:
        time.sleep(PHASES["before"])
        registry.kill()
        time.sleep(PHASES["registry killed"])
        registry.start()
        time.sleep(PHASES["registry back"])
        registry.process.send_signal(signal.SIGSTOP)
        process.wait(timeout=DEADLINE_SECONDS * 2)
    text = subprocess.run([vegeta, "encode", "-to=csv", output], check=True, capture_output=True, text=True).stdout
    return list(csv.reader(text.splitlines()))


def target(address, number):
    """Returns a review as vegeta reads it."""
    image = f"present/app:{number // 2 % TAGS}" if number % 2 else f"absent/app:{number}"
    request = {
        "uid": str(number), "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "shop",
        "operation": "CREATE", "object": {"spec": {"containers": [{"name": "web", "image": image}]}},
    }
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    return {
        "method": "POST", "url": f"https://{address}/?timeout=10s", "header": {"Content-Type": ["application/json"]},
        "body": base64.b64encode(body.encode()).decode(),
    }


def report(results, metrics):
    """Prints the table, and returns the exit code."""
    start = min(int(row[0]) for row in results)
    late = bad = last = 0
    print("| phase | reviews | refused or failed | swapped | kept | p50 | p99 | max |\n|---|--:|--:|--:|--:|--:|--:|--:|")
    for phase, seconds in PHASES.items():
        first, last = last, last + seconds * 10**9
        rows = [row for row in results if first <= int(row[0]) - start < last]
        times = sorted(int(row[2]) / 1e6 for row in rows)
        bodies = [base64.b64decode(row[6]).decode() for row in rows]
        failed = sum(row[1] != "200" or '"allowed":true' not in body for row, body in zip(rows, bodies))
        swapped = sum('"patch"' in body for body in bodies)
        bad += failed
        late += sum(time > TIMEOUT_MS + SLACK_MS for time in times)
        p50, p99 = (times[int(len(times) * share)] for share in (0.5, 0.99))
        kept = len(rows) - failed - swapped
        print(f"| {phase} | {len(rows)} | {failed} | {swapped} | {kept} | {p50:.1f} ms | {p99:.1f} ms | {times[-1]:.1f} ms |")
    print(f"\nlonger than {TIMEOUT_MS + SLACK_MS} ms: {late}")
    print("\n".join(metrics))
    return 1 if bad or late else 0


def poll(what, probe):
    """Calls `probe` until it succeeds."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return probe()
        except OSError as error:
            if time.monotonic() > end:
                raise RuntimeError(f"{what}: {error}") from error
            time.sleep(0.02)


def free_port():
    """Returns a port that was free a moment ago. The registry keeps it over its restart."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    if sys.argv[1:2] in (["--help"], ["-h"]):
        sys.exit(print(__doc__))
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else TARGET / "release/imageswap"))
