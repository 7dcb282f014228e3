// A headless Chromium, driven by the DevTools protocol over a pipe: no port, and no library between.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Time in milliseconds for one command of the browser. */
const COMMAND_TIMEOUT = 60_000;

/** Time in milliseconds for the removal of the profile. A process that has been killed ends within one second. */
const REMOVAL_TIMEOUT = 30_000;

/** Starts the browser, and returns it. The caller closes it. */
export function startBrowser(program) {
  const profile = mkdtempSync(join(tmpdir(), "imageswap-browser-"));
  const flags = [
    "--headless", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "--no-first-run", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    // Containers and user namespaces of the gate have no sandbox. The only page is our own.
    "--no-sandbox", "--hide-scrollbars", "about:blank",
  ];
  // The processes that the browser starts are in its process group, so that `close` ends them all.
  const child = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true });
  const [, , , input, output] = child.stdio;
  const waiting = new Map();
  const listeners = new Set();
  let [last, rest] = [0, ""];
  output.setEncoding("utf8");
  output.on("data", (data) => {
    const messages = (rest + data).split("\0");
    rest = messages.pop();
    for (const message of messages.map((text) => JSON.parse(text))) {
      if (message.id === undefined) {
        listeners.forEach((listener) => listener(message));
      } else {
        const { resolve, reject } = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.error) reject(new Error(message.error.message));
        else resolve(message.result);
      }
    }
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.on("exit", () => waiting.forEach(({ reject }) => reject(new Error("the browser has ended"))));

  /** Sends a command, and returns its result. */
  function send(method, params = {}, sessionId = undefined) {
    const id = ++last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), COMMAND_TIMEOUT);
      const settle = (action) => (value) => (clearTimeout(timer), action(value));
      waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      input.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    });
  }

  return {
    openPage: () => openPage(send, listeners),
    async close() {
      process.kill(-child.pid, "SIGKILL");
      await ended;
      // A process that the browser has started may hold the other ends for longer.
      for (const pipe of [input, output]) pipe.destroy();
      await remove(profile);
    },
  };
}

/**
 * Removes a folder to which a process that is about to end may still write.
 *
 * The retries of `rmSync` do not list the folder again, so a file that appears between its steps makes all of them fail.
 */
async function remove(folder) {
  for (const deadline = Date.now() + REMOVAL_TIMEOUT; ; ) {
    try {
      return rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(50);
    }
  }
}

/** Opens an empty page. */
async function openPage(send, listeners) {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const command = (method, params) => send(method, params, sessionId);
  const problems = [];
  const waiting = [];
  listeners.add(({ method, params, sessionId: from }) => {
    if (from !== sessionId) return;
    if (method === "Runtime.exceptionThrown") problems.push(params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") problems.push(`console: ${JSON.stringify(params.args)}`);
    if (method === "Log.entryAdded") problems.push(`${params.entry.source}: ${params.entry.text}`);
    if (method === "Audits.issueAdded") problems.push(`issue: ${JSON.stringify(params.issue)}`);
    if (method === "Page.loadEventFired") waiting.splice(0).forEach((resolve) => resolve());
  });
  for (const domain of ["Page", "Runtime", "Log", "Audits"]) await command(`${domain}.enable`);

  return {
    /** The messages of the console, and violations of the Content-Security-Policy. */
    problems,

    /** Sets the width of the window, the color scheme, and the medium. */
    async emulate({ width, height = 900, scheme = "light", medium = "screen" }) {
      const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
      await command("Emulation.setDeviceMetricsOverride", metrics);
      const features = [{ name: "prefers-color-scheme", value: scheme }];
      await command("Emulation.setEmulatedMedia", { media: medium, features });
    },

    async goto(url) {
      const loaded = new Promise((resolve) => waiting.push(resolve));
      const { errorText } = await command("Page.navigate", { url });
      if (errorText) throw new Error(`${url}: ${errorText}`);
      await loaded;
    },

    /** Waits until the action has loaded another page. */
    async loadBy(action) {
      const loaded = new Promise((resolve) => waiting.push(resolve));
      await action();
      await loaded;
    },

    /** Evaluates an expression in the page. The policy of the page does not apply to it. */
    async evaluate(expression) {
      const parameters = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await command("Runtime.evaluate", parameters);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },

    /** Types text into the element that has the focus. */
    async type(text) {
      await command("Input.insertText", { text });
    },

    /** Presses the key Enter. */
    async pressEnter() {
      const key = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" };
      await command("Input.dispatchKeyEvent", { type: "keyDown", ...key });
      await command("Input.dispatchKeyEvent", { type: "keyUp", ...key });
    },

    /** Returns a picture of the whole page as PNG. */
    async screenshot() {
      const { data } = await command("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
      return Buffer.from(data, "base64");
    },

    /** Returns the page as PDF. */
    async pdf() {
      const { data } = await command("Page.printToPDF", { printBackground: true });
      return Buffer.from(data, "base64");
    },
  };
}
