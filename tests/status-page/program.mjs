// The program under test, with maps that have something for each part of the page.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Time in milliseconds after which a state has to be reached. */
const DEADLINE = 60_000;

const HOSTILE = `<script>alert(1)</script>"'><img/src=x\u202e`;

const MAP = `
default::registry.example.com/dockerhub
quay.io::registry.example.com/quay
ghcr.io::registry.example.com/ghcr
registry.k8s.io::
docker.io/library::registry.example.com/library
[EXACT]docker.io/library/nginx:1.27::registry.example.com/approved/nginx:1.27
[REPLACE]*/sidecar-*::registry.example.com/sidecars
noswap_wildcards::registry.example.com,internal
a-registry-with-a-very-long-name.of-a-department.example.com:5000/and/a/path/that/is/long::registry.example.com/and/a/target/that/is/long
broken line ${HOSTILE}
${HOSTILE}::registry.example.com/hostile
gcr.io:registry.example.com/old-separator
closed.example.com::127.0.0.1:9
`;

const EXCEPT = ["registry.example.com", ...Array.from({ length: 12 }, (_, index) => `team-${index + 1}.example.com`)];

const CANDIDATE = MAP.replace("quay.io::registry.example.com/quay", "quay.io::mirror.example.com/quay");

/** Starts the program, and returns it when it has loaded all maps. The caller stops it. */
export async function startProgram(path) {
  const folder = mkdtempSync(join(tmpdir(), "imageswap-status-"));
  const namespaces = join(folder, "namespaces");
  mkdirSync(namespaces);
  for (let number = 1; number <= 12; number++) {
    writeFileSync(join(namespaces, `team-${number}.conf`), `default::team-${number}.example.com\nghcr.io::\n`);
  }
  writeFileSync(join(namespaces, "broken.conf"), HOSTILE);
  writeFileSync(join(folder, "maps.conf"), MAP);
  writeFileSync(join(folder, "candidate.conf"), CANDIDATE);
  const child = spawn(path, [
    "serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json",
    "--maps", join(folder, "maps.conf"), "--candidate-maps", join(folder, "candidate.conf"),
    "--namespace-maps-dir", namespaces, "--shadow-namespaces", "staging",
    // Of the new registries, only the closed port is asked.
    "--verify-target", "fallback", "--verify-except", EXCEPT.join(),
  ], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const stop = async () => {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const started = await new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error("the program has ended")));
    createInterface({ input: child.stderr }).on("line", (line) => {
      const record = JSON.parse(line);
      if (record.message === "imageswap started") resolve(record);
    });
  });
  const program = { url: started.status_page, stop, review: (images, space) => review(started.listen, images, space) };
  await until("the maps", async () => {
    const page = await fetchJson(program.url);
    return page.ready && page.candidate && page.namespaces.maps === 12;
  });
  return program;
}

/** Returns the status page as JSON. */
export async function fetchJson(url) {
  const answer = await fetch(url, { headers: { accept: "application/json" } });
  return answer.json();
}

async function until(what, isReached) {
  for (const end = Date.now() + DEADLINE; Date.now() < end;) {
    if (await isReached()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`timeout: ${what}`);
}

/** Posts a review of a pod with these images. */
function review(address, images, namespace) {
  const containers = images.map((image, index) => ({ name: `c${index}`, image }));
  const body = JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "1", namespace, operation: "CREATE", kind: { group: "", version: "v1", kind: "Pod" },
      object: { spec: { containers } },
    },
  });
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    // The certificate is one that the program has created for itself.
    const call = request(`https://${address}/`, { method: "POST", headers, rejectUnauthorized: false }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode));
    });
    call.on("error", reject).end(body);
  });
}
