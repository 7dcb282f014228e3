// The status page in a real browser: accessible, without scripts and violations of its policy, on any screen and paper.
//
// `.ci/status-page` runs it. IMAGESWAP_BROWSER and IMAGESWAP_PROGRAM name the programs. With IMAGESWAP_SCREENSHOTS, a
// picture of each view is written to that folder.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startBrowser } from "./browser.mjs";
import { fetchJson, startProgram } from "./program.mjs";

const { IMAGESWAP_BROWSER, IMAGESWAP_PROGRAM, IMAGESWAP_SCREENSHOTS } = process.env;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The success criteria of WCAG 2, levels A and AA. */
const CRITERIA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const VIEWS = [
  { name: "light", width: 1280 },
  { name: "dark", width: 1280, scheme: "dark" },
  { name: "phone", width: 360, height: 740 },
  { name: "dark-phone", width: 360, height: 740, scheme: "dark" },
  { name: "print", width: 794, medium: "print" },
];

const IMAGES = ["nginx:1.27", "redis:7", "quay.io/prometheus/prometheus:v3", "ghcr.io/a/b:1", "auto", "closed.example.com/a:1"];

let browser;
let program;

before(async () => {
  program = await startProgram(IMAGESWAP_PROGRAM);
  for (const namespace of ["shop", "shop", "team-1", "staging"]) {
    assert.equal(await program.review(IMAGES, namespace), 200);
  }
  browser = startBrowser(IMAGESWAP_BROWSER);
});

after(async () => {
  // Both end, or the test would wait for the other for ever.
  const ends = await Promise.allSettled([browser?.close(), program?.stop()]);
  for (const { reason } of ends) if (reason) throw reason;
});

/** Opens the page in a view. */
async function open(view, path = "") {
  const page = await browser.openPage();
  await page.emulate(view);
  await page.goto(program.url + path);
  return page;
}

async function capture(page, name) {
  if (!IMAGESWAP_SCREENSHOTS) return;
  mkdirSync(IMAGESWAP_SCREENSHOTS, { recursive: true });
  writeFileSync(join(IMAGESWAP_SCREENSHOTS, `${name}.png`), await page.screenshot());
}

for (const view of VIEWS) {
  test(`the page has no fault: ${view.name}`, async () => {
    const page = await open(view, "?image=quay.io/prometheus/prometheus:v3&namespace=team-1");
    await capture(page, view.name);
    await page.evaluate(AXE);
    const options = JSON.stringify({ runOnly: CRITERIA, resultTypes: ["violations"] });
    const violations = await page.evaluate(`axe.run(document, ${options}).then((found) => found.violations.map(
      ({ id, help, nodes }) => id + ": " + help + ": " + nodes.slice(0, 3).map((node) => node.html).join(" ")))`);
    assert.deepEqual(violations, []);
    // The window of a phone grows with its content, so its own width says nothing.
    const width = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(width <= view.width, `the page is ${width} wide, the window ${view.width}`);
    assert.deepEqual(page.problems, []);
  });
}

test("the page has landmarks, one title, and no script", async () => {
  const page = await open(VIEWS[0]);
  const count = (selector) => page.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  for (const [selector, expected] of [
    ["header", 1], ["main", 1], ["footer", 1], ["h1", 1], ["script, [onclick], [style], link, img, iframe", 0],
    ["section:not([aria-labelledby])", 0], ["table:not(:has(caption))", 0], ["th:not([scope])", 0],
  ]) {
    assert.equal(await count(selector), expected, selector);
  }
});

test("the style sheet applies under the policy, in both color schemes", async () => {
  const color = async (view) => (await open(view)).evaluate("getComputedStyle(document.body).backgroundColor");
  assert.notEqual(await color(VIEWS[0]), await color(VIEWS[1]));
});

test("the text of a hostile map is text", async () => {
  const page = await open(VIEWS[0]);
  const text = await page.evaluate("document.body.textContent");
  assert.ok(text.includes("<script>alert(1)</script>"));
  assert.ok(text.includes("\\u{202e}") && !text.includes("\u202e"));
});

test("the form explains an image with the keyboard alone", async () => {
  const page = await open(VIEWS[2]);
  await page.evaluate("document.querySelector('#image').focus()");
  await page.type("quay.io/a/b:1");
  await page.loadBy(() => page.pressEnter());
  const result = await page.evaluate("document.querySelector('.result').textContent.replace(/\\s+/g, ' ')");
  assert.equal(result, "quay.io/a/b:1 becomes registry.example.com/quay/a/b:1");
  assert.equal(await page.evaluate("document.querySelector('#image').value"), "quay.io/a/b:1");
  assert.deepEqual(page.problems, []);
});

test("the page shows the hits of the JSON form", async () => {
  const { rules } = await fetchJson(program.url);
  const page = await open(VIEWS[0]);
  const rows = await page.evaluate(`[...document.querySelectorAll("section[aria-labelledby=rules] tbody tr")].map(
    (row) => [...row.children].map((cell) => cell.textContent))`);
  assert.deepEqual(rows.map(([hits, key]) => [Number(hits), key]), rules.shown.map(({ hits, key }) => [hits, key]));
  assert.ok(rules.shown[0].hits > 0);
});

test("the page shows the registries that were asked", async () => {
  const page = await open(VIEWS[2]);
  const text = await page.evaluate(`document.querySelector("section[aria-labelledby=targets]").innerText`);
  assert.match(text, /127\.0\.0\.1:9/);
  assert.match(text, /unreachable: /);
});

test("the page prints", async () => {
  const page = await open(VIEWS[0]);
  assert.ok((await page.pdf()).subarray(0, 5).equals(Buffer.from("%PDF-")));
});
