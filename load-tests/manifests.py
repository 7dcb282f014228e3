#!/usr/bin/env python3
"""Measures how fast `imageswap rewrite` and `imageswap plan` read manifests.

usage: load-tests/manifests.py [PROGRAM]

PROGRAM is the release build by default (target/release/imageswap). The manifests are 10,000 Deployments as YAML and
10,000 pods as indented JSON, each with an image that changes. `plan` also reads the pods from an API server on
loopback, which answers from memory. Prints a table in Markdown; times are medians of several runs, from start to exit.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

RUNS = 5
OBJECTS = 10_000
# Number of pods of a page, as `plan` asks for.
PAGE = 500

NOT_FOUND = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"not found","code":404}'

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{number}
  namespace: shop
  labels:
    app.kubernetes.io/name: app
    app.kubernetes.io/instance: app-{number}
spec:
  replicas: 3
  selector:
    matchLabels:
      app.kubernetes.io/instance: app-{number}
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: app-{number}
      annotations:
        prometheus.io/scrape: "true"  # by the agent of the node
    spec:
      containers:
        - name: app
          image: "quay.io/shop/app-{number}:1.27"
          imagePullPolicy: IfNotPresent
          args: ["--port", "8080"]
          ports:
            - name: http
              containerPort: 8080
          resources:
            limits:
              cpu: 500m
              memory: 128Mi
          volumeMounts:
            - name: data
              mountPath: /data
      volumes:
        - name: data
          emptyDir: {{}}
---
"""


def main(program):
    """Prints the table."""
    if not program.is_file():
        sys.exit(f"{program} does not exist; run `cargo build --release`")
    with tempfile.TemporaryDirectory() as folder:
        maps, deployments, pods = (Path(folder, name) for name in ("maps.conf", "deployments.yaml", "pods.json"))
        maps.write_text("default::mirror.example.com\n", encoding="ascii")
        texts = (DEPLOYMENT.format(number=number) for number in range(OBJECTS))
        deployments.write_text("".join(texts), encoding="ascii")
        items = [pod(number) for number in range(OBJECTS)]
        pods.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=4), encoding="ascii")
        print("| command | objects | MB | seconds | MB/s |\n|---|---|---|---|---|")
        for command, file in (["rewrite"], deployments), (["rewrite"], pods), (["plan", "-f"], pods):
            print_row(" ".join(command), file.name, file.stat().st_size, [program, *command, file, "--maps", maps])
        with api_server(items, Path(folder, "config")) as (config, size):
            print_row("plan", "of an API server", size, [program, "plan", "--kubeconfig", config, "--maps", maps])


def print_row(name, objects, size, command):
    """Measures a command, and prints its row."""
    seconds = statistics.median(measured(command) for _ in range(RUNS))
    print(f"| `{name}` | {objects} | {size / 1e6:.1f} | {seconds:.2f} | {size / 1e6 / seconds:.0f} |")


@contextmanager
def api_server(pods, config):
    """Runs an API server that has the pods, and writes its kubeconfig. Yields it, and the size of the pods in bytes."""
    pages = [
        json.dumps({
            "metadata": {"continue": str(start + PAGE) if start + PAGE < len(pods) else ""},
            "items": pods[start : start + PAGE],
        }).encode()
        for start in range(0, len(pods), PAGE)
    ]
    namespaces = [{"metadata": {"name": name}} for name in {pod["metadata"]["namespace"] for pod in pods}]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            status, body = 404, NOT_FOUND
            if url.path == "/api/v1/pods":
                start = int(parse_qs(url.query).get("continue", ["0"])[0])
                status, body = 200, pages[start // PAGE]
            elif url.path == "/api/v1/namespaces":
                status, body = 200, json.dumps({"metadata": {}, "items": namespaces}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    config.write_text(
        json.dumps({
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": address}}],
        }),
        encoding="ascii",
    )
    try:
        yield config, sum(map(len, pages))
    finally:
        server.shutdown()
        server.server_close()


def pod(number):
    """Returns a pod as `kubectl get pods` prints it, with another image for each number."""
    review = json.loads((ROOT / "tests/fixtures/reviews/00-create-pod.json").read_text(encoding="utf-8"))
    found = {"apiVersion": "v1", "kind": "Pod"} | review["request"]["object"]
    found["metadata"] |= {"name": f"pod-{number}", "namespace": f"namespace-{number % 100}"}
    found["spec"]["containers"][0]["image"] = f"quay.io/shop/app-{number}:1.27"
    return found


def measured(command):
    """Runs a command and returns its time in seconds."""
    start = time.monotonic()
    run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - start
    # `plan` exits with 3 if images change.
    if run.returncode != (3 if "plan" in command else 0):
        sys.exit(f"{command} exited with {run.returncode}: {run.stderr}")
    return seconds


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:] in (["--help"], ["-h"]):
        sys.exit(__doc__)
    main(Path(sys.argv[1] if len(sys.argv) > 1 else TARGET / "release/imageswap"))
