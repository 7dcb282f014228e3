#!/usr/bin/env python3
"""Measures how fast `imageswap rewrite` and `imageswap plan` read manifests.

usage: load-tests/manifests.py [PROGRAM]

PROGRAM is the release build by default (target/release/imageswap). The manifests are 10,000 Deployments as YAML and
10,000 pods as indented JSON, each with an image that changes. Prints a table in Markdown; times are medians of several
runs, from start to exit.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

RUNS = 5
OBJECTS = 10_000

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
    with tempfile.TemporaryDirectory() as folder:
        maps, deployments, pods = (Path(folder, name) for name in ("maps.conf", "deployments.yaml", "pods.json"))
        maps.write_text("default::mirror.example.com\n", encoding="ascii")
        texts = (DEPLOYMENT.format(number=number) for number in range(OBJECTS))
        deployments.write_text("".join(texts), encoding="ascii")
        items = [pod(number) for number in range(OBJECTS)]
        pods.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=4), encoding="ascii")
        print("| command | manifests | MB | seconds | MB/s |\n|---|---|---|---|---|")
        for command, file in (["rewrite"], deployments), (["rewrite"], pods), (["plan", "-f"], pods):
            seconds = statistics.median(measured([program, *command, file, "--maps", maps]) for _ in range(RUNS))
            size = file.stat().st_size / 1e6
            name = " ".join(command)
            print(f"| `{name}` | {file.name} | {size:.1f} | {seconds:.2f} | {size / seconds:.0f} |")


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
