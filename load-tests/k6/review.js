// Posts admission reviews like an API server and checks every answer. Fails if an answer is wrong or missing, or
// if the answers take too long.
//
//   k6 run load-tests/k6/review.js
//   k6 run --env PROFILE=ramp --env RATE=2000 load-tests/k6/review.js
//
// PROFILE      smoke (default), ramp, soak or spike
// URL          URL of the webhook (default https://127.0.0.1:5000/)
// RATE         maximum rate in reviews per second (each profile has a default)
// DURATION     duration of the steady part, such as 10s or 1h (each profile has a default)
// P99_MS       maximum 99th percentile of the latency in ms (each profile has a default)
// VUS          maximum number of connections (default 100)
// VERIFY_TLS   `true` to check the certificate, against SSL_CERT_FILE or the authorities of the system; off by
//              default, because `imageswap serve --dev` has a self-signed certificate

import { check, fail } from 'k6';
import { b64decode } from 'k6/encoding';
import exec from 'k6/execution';
import http from 'k6/http';

const URL = __ENV.URL || 'https://127.0.0.1:5000/';

// Every profile sends at a rate that does not depend on answers. A slow server thus causes latency, and dropped
// iterations if all connections are busy, and not a smaller load.
const PROFILES = {
  // A few seconds, for a gate: checks that the webhook works under load.
  smoke: {
    rate: 200, duration: '5s', p99: 100,
    stages: (rate, duration) => [[rate, '1s'], [rate, duration]],
  },
  // Increasing steps, to find the rate at which the latency rises.
  ramp: {
    rate: 2000, duration: '20s', p99: 250,
    stages: (rate, duration) => [0.25, 0.5, 0.75, 1].flatMap(
      (share) => [[share * rate, '5s'], [share * rate, duration]],
    ),
  },
  // A moderate rate for a long time, to find growth.
  soak: {
    rate: 500, duration: '1h', p99: 100,
    stages: (rate, duration) => [[rate, '10s'], [rate, duration]],
  },
  // Ten times the rate within a second and back, as if a node with many pods starts.
  spike: {
    rate: 2000, duration: '10s', p99: 500,
    stages: (rate, duration) => [
      [rate / 10, '1s'], [rate / 10, '10s'], [rate, '1s'], [rate, duration], [rate / 10, '1s'],
      [rate / 10, '10s'],
    ],
  },
};

const name = __ENV.PROFILE || 'smoke';
const profile = PROFILES[name];
if (!profile) {
  throw new Error(`there is no profile ${name}: ${Object.keys(PROFILES).join(', ')}`);
}
const rate = number('RATE', profile.rate);
const vus = number('VUS', 100);

export const options = {
  insecureSkipTLSVerify: __ENV.VERIFY_TLS !== 'true',
  scenarios: {
    [name]: {
      executor: 'ramping-arrival-rate',
      startRate: Math.ceil(rate / 10),
      timeUnit: '1s',
      preAllocatedVUs: vus,
      stages: profile.stages(rate, __ENV.DURATION || profile.duration).map(
        ([target, duration]) => ({ target: Math.ceil(target), duration }),
      ),
    },
  },
  thresholds: {
    checks: ['rate==1'],
    dropped_iterations: ['count==0'],
    http_req_failed: ['rate==0'],
    http_req_duration: [`p(99)<${number('P99_MS', profile.p99)}`],
  },
  summaryTrendStats: ['min', 'med', 'avg', 'p(90)', 'p(99)', 'p(99.9)', 'max'],
};

// Reviews of several kinds from a real API server, and true if a map with a rule for every image, such as the sample
// map, makes a patch.
const REVIEWS = [
  ['00-create-pod', true],
  ['02-update-pod', true],
  ['03-update-pod-ephemeralcontainers', true],
  ['04-create-deployment', true],
  ['05-create-cronjob', true],
  ['06-create-pod', true],
  ['07-delete-pod', false],
].map(([file, isSwapped]) => {
  const text = open(`../../tests/fixtures/reviews/${file}.json`);
  const uid = JSON.parse(text).request.uid;
  // The original text, not written anew, and split at the uid, which differs in each request.
  const [head, tail] = text.split(`"uid":"${uid}"`);
  return { head, tail, isSwapped, tags: { review: file } };
});

export function setup() {
  const answer = http.post(URL, REVIEWS[0].head + '"uid":"setup"' + REVIEWS[0].tail, headers());
  if (answer.status !== 200) {
    fail(`${URL} does not answer a review: ${answer.status} ${answer.error || answer.body}`);
  }
}

export default function () {
  const iteration = exec.scenario.iterationInTest;
  const review = REVIEWS[iteration % REVIEWS.length];
  const uid = `00000000-0000-4000-8000-${iteration.toString(16).padStart(12, '0')}`;
  const answer = http.post(
    URL, `${review.head}"uid":"${uid}"${review.tail}`, { ...headers(), tags: review.tags },
  );
  check(answer, {
    'status is 200': ({ status }) => status === 200,
    'response has the uid': () => response(answer).uid === uid,
    'response allows the object': () => response(answer).allowed === true,
    'patch replaces images, where there are some to swap': () => (
      review.isSwapped ? isPatchOfImages(response(answer)) : !('patch' in response(answer))
    ),
  });
}

function headers() {
  return { headers: { 'Content-Type': 'application/json' } };
}

function response(answer) {
  try {
    return answer.json('response') || {};
  } catch {
    return {};
  }
}

function isPatchOfImages({ patchType, patch }) {
  if (patchType !== 'JSONPatch' || !patch) {
    return false;
  }
  const operations = JSON.parse(b64decode(patch, 'std', 's'));
  return operations.length > 0 && operations.every(
    ({ op, path, value }) => op === 'replace' && /\/(image|reference)$/.test(path) && value.length > 0,
  );
}

function number(variable, otherwise) {
  const value = __ENV[variable] ? Number(__ENV[variable]) : otherwise;
  if (!(value > 0)) {
    throw new Error(`${variable} is no number above 0: ${__ENV[variable]}`);
  }
  return value;
}
