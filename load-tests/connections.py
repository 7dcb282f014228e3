#!/usr/bin/env python3
"""Opens connections one after the other, at a rate: each posts one review and is closed again.

usage: connections.py HOST:PORT CA REVIEW PER-SECOND SECONDS TARGET...

The certificate has to be one of the authority in the file CA, for this host. The answer has to have a
patch, all images of which are at one of the targets: an answer that mixes two maps is wrong. Every other
connection ends without the closing message of TLS, as when a client is killed.

Prints failures, up to some, and a line with what was seen. Exit code 1 when anything failed.
"""

import base64
import hashlib
import http.client
import json
import ssl
import sys
import time

# Enough to see what is wrong, and no more than can be read.
MAX_SHOWN = 20
# As the API server waits by default.
TIMEOUT_SECONDS = 10


def exchange(address, context, review, is_polite):
    """Posts the review on a connection of its own; returns the certificate and the answer."""
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
    """The one target of all images of an answer."""
    response = json.loads(answer)["response"]
    patch = json.loads(base64.b64decode(response["patch"]))
    found = {operation["value"].split("/")[0] for operation in patch}
    if not response["allowed"] or len(found) != 1 or not found <= set(targets):
        raise ValueError(f"wrong answer: {response}")
    return found.pop()


def main(address, authority, review_file, rate, seconds, *targets):
    """Opens the connections; returns whether all went well."""
    with open(review_file, "rb") as file:
        review = file.read()
    context = ssl.create_default_context(cafile=authority)
    certificates, changes, last_target = set(), 0, None
    opened = failed = 0
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < float(seconds):
        # What is late is made up for.
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
