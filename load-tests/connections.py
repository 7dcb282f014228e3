#!/usr/bin/env python3
"""Opens connections one after the other at a constant rate. Each posts one review and is closed again.

usage: connections.py HOST:PORT CA REVIEW PER-SECOND SECONDS TARGET...

The certificate must be signed by the authority in the file CA, and be valid for this host. The answer must have
a patch with all images at one of the targets: an answer that mixes two maps is wrong. Every other connection is
closed without a TLS alert, like that of a killed client.

Prints the first failures, and a line with the results. Exit code 1 if anything failed.
"""

import base64
import hashlib
import http.client
import json
import ssl
import sys
import time

# Maximum number of printed failures: enough to see the error, and still readable.
MAX_SHOWN = 20
# The default timeout of the API server.
TIMEOUT_SECONDS = 10


def exchange(address, context, review, is_polite):
    """Posts the review on a new connection; returns the certificate and the answer."""
    connection = http.client.HTTPSConnection(address, timeout=TIMEOUT_SECONDS, context=context)
    try:
        connection.request("POST", "/", review, {"Content-Type": "application/json"})
        certificate = connection.sock.getpeercert(binary_form=True)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise ValueError(f"status {response.status}: {answer[:200]!r}")
        if is_polite and connection.sock is not None:
            connection.sock.unwrap()
    finally:
        connection.close()
    return certificate, answer


def target_of(answer, targets):
    """Returns the common target of all images of an answer."""
    response = json.loads(answer)["response"]
    patch = json.loads(base64.b64decode(response["patch"]))
    found = {operation["value"].split("/")[0] for operation in patch}
    if not response["allowed"] or len(found) != 1 or not found <= set(targets):
        raise ValueError(f"wrong answer: {response}")
    return found.pop()


def main(address, authority, review_file, rate, seconds, *targets):
    """Opens the connections; returns true if nothing failed."""
    with open(review_file, "rb") as file:
        review = file.read()
    context = ssl.create_default_context(cafile=authority)
    certificates, changes, last_target = set(), 0, None
    opened = failed = 0
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < float(seconds):
        # Late connections are opened without a pause, to keep the rate.
        if (early := opened / float(rate) - elapsed) > 0:
            time.sleep(early)
        opened += 1
        try:
            certificate, answer = exchange(address, context, review, opened % 2 == 0)
            target = target_of(answer, targets)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            failed += 1
            if failed <= MAX_SHOWN:
                print(f"connection {opened}: {error!r}", flush=True)
            continue
        certificates.add(hashlib.sha256(certificate).digest())
        changes += last_target not in (None, target)
        last_target = target
    print(
        f"connections: {opened} opened, {failed} failed;"
        f" {len(certificates)} certificates and {changes} changes of the map were seen"
    )
    return failed == 0


if len(sys.argv) < 7:
    sys.exit(__doc__.strip())
sys.exit(0 if main(*sys.argv[1:]) else 1)
