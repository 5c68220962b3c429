// Measures what each page costs over the wire when nothing is cached, and how soon something of it is seen, by somebody who opens it
// in an empty tab (a process for it has to start) and by somebody who comes to it from another page. A document of two words comes
// first: what this browser needs on this machine before there is anything of ours. Names the pages whose median is beyond the target
// of docs/benchmarks.md, and ends with 1 when there are any; for a machine that does nothing else.
//   WRIT=target/release/writ CHROMIUM=/usr/bin/chromium node 99-cli/tests/browser/render.mjs
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const VISITS = Number(process.env.VISITS ?? 11);
const PAUSE_MS = 200;
const PAINTED_MS_MAX = 150;
const FLOOR = "/health/live";
const example = resolve(import.meta.dirname, "../../../examples/deploy-web-001");
const place = mkdtempSync(join(tmpdir(), "writ-render-"));
cpSync(example, join(place, "files"), { recursive: true });
Object.assign(process.env, { FILES: join(place, "files"), STATE: join(place, "state"), SHOTS: join(place, "shots") });
process.env.WRIT = resolve(process.env.WRIT);

const { People, Site } = await import("./site.mjs");
const median = (values) => values.sort((one, two) => one - two)[Math.floor(values.length / 2)];
const site = new Site();
await site.start();
// Playwright moves shared memory to a disk, for containers with little of it; that costs a third of a first paint.
const people = await People.launch({ ignoreDefaultArgs: ["--disable-dev-shm-usage"] });
try {
  const first = async (view) => (await site.api(`/api/v1/${view}`)).items[0]?.id;
  const paths = [FLOOR, "/", "/intents", `/intents/${await first("intents")}`, "/intents/new", "/runs", `/runs/${await first("runs")}`,
    "/approvals", "/incidents", "/policy", "/audit", "/recommendations", "/agents", "/contracts", "/settings", "/reference"];
  const door = await people.page(site, "operator");
  const state = await door.context().storageState();
  const visit = async (path, from) => {
    // A context of its own has a cache of its own.
    const context = await people.browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    if (from) await page.goto(site.base + from, { waitUntil: "load" });
    const tap = await context.newCDPSession(page);
    let [bytes, asked] = [0, false];
    await tap.send("Network.enable");
    await tap.send("Network.clearBrowserCache");
    tap.on("Network.loadingFinished", ({ encodedDataLength }) => { bytes += encodedDataLength; });
    // What the visit before took down is down.
    await page.waitForTimeout(PAUSE_MS);
    // Asking a page runs a program in it, so nothing is asked before the browser says that something is seen.
    await tap.send("Page.enable");
    await tap.send("Page.setLifecycleEventsEnabled", { enabled: true });
    const seen = new Promise((seen) => { tap.on("Page.lifecycleEvent", ({ name }) => { if (name === "firstContentfulPaint" && asked) seen(); }); });
    asked = true;
    await page.goto(site.base + path, { waitUntil: "commit" });
    await seen;
    const painted = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
    await page.waitForLoadState("load");
    if (path !== FLOOR) await page.waitForFunction(() => window.htmx);
    await context.close();
    return { painted, wire: bytes / 1024 };
  };
  console.log(`medians of ${VISITS} visits each, nothing cached; ms until the first content is painted: in an empty tab, from another page; KB over the wire`);
  const [late, floor] = [[], []];
  for (const path of paths) {
    const [empty, from] = [[], []];
    for (let round = 0; round < VISITS; round++) {
      empty.push(await visit(path, null));
      from.push(await visit(path, path === "/contracts" ? "/agents" : "/contracts"));
    }
    const of = (visits, what) => median(visits.map((one) => one[what]));
    for (const [where, visits] of [["in an empty tab", empty], ["from another page", from]]) {
      const took = of(visits, "painted");
      if (path === FLOOR) floor.push(`${took.toFixed(0)} ms ${where}`);
      else if (took > PAINTED_MS_MAX) late.push(`${path} ${where}: ${took.toFixed(0)} ms`);
    }
    console.log(`${path.padEnd(44)} ${of(empty, "painted").toFixed(0).padStart(5)} ms ${of(from, "painted").toFixed(0).padStart(5)} ms ${of(empty, "wire").toFixed(1).padStart(7)} KB`);
  }
  if (late.length > 0) {
    console.error(`beyond ${PAINTED_MS_MAX} ms, where a document of two words takes ${floor.join(", ")}:\n  ${late.join("\n  ")}`);
    process.exitCode = 1;
  }
} finally {
  const left = Object.values(await site.processes());
  await people.close();
  await site.end("SIGTERM");
  left.forEach(({ pid }) => process.kill(pid, "SIGKILL"));
  rmSync(place, { recursive: true, force: true });
}
