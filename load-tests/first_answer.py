#!/usr/bin/env python3
"""Waits for the first right answer of a webhook, and prints when it came, in µs since 1970.

usage: load-tests/first_answer.py HOST:PORT PATH REVIEW IMAGE...

Posts the review again and again, over a new TLS connection each time, until the patch of the answer sets exactly these
images. Prints a line `polling` before the first request. Exit code 1 if there is no right answer within a minute.
"""

import base64
import http.client
import json
import ssl
import sys
import time
from pathlib import Path

# Time between two requests.
INTERVAL_SECONDS = 0.004
# Timeout for a request, and for the right answer.
REQUEST_SECONDS = 5
DEADLINE_SECONDS = 60


def main(address, path, review, expected):
    """Polls until the answer is right."""
    body = Path(review).read_bytes()
    # The certificate is one of the load test, and who answers is not in doubt on loopback.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    print("polling", flush=True)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            answer = post(address, path, body, context)
            found = images(answer)
            if found == sorted(expected):
                print(time.time_ns() // 1000, flush=True)
                return
            problem = f"it sets the images {found} instead of {sorted(expected)}: {answer[:2000]!r}"
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            sys.exit(f"error: no right answer of https://{address}{path}: {problem}")
        time.sleep(INTERVAL_SECONDS)


def post(address, path, body, context):
    """Returns the body of the answer to a review."""
    connection = http.client.HTTPSConnection(address, timeout=REQUEST_SECONDS, context=context)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ValueError(f"status {response.status}: {answer[:200]!r}")
    return answer


def images(answer):
    """Returns the images that the patch of an answer sets, sorted."""
    patch = json.loads(answer)["response"]["patch"]
    operations = json.loads(base64.b64decode(patch))
    return sorted(step["value"] for step in operations if step["path"].endswith("/image"))


if len(sys.argv) < 5:
    sys.exit(__doc__.strip())
main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
