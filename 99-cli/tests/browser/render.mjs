// Measures, and judges nothing: what a first visit of each page costs over the wire, and how soon something is seen.
//   WRIT=target/release/writ CHROMIUM=/usr/bin/chromium node 99-cli/tests/browser/render.mjs
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const VISITS = Number(process.env.VISITS ?? 11);
const example = resolve(import.meta.dirname, "../../../examples/deploy-web-001");
const place = mkdtempSync(join(tmpdir(), "writ-render-"));
cpSync(example, join(place, "files"), { recursive: true });
Object.assign(process.env, { FILES: join(place, "files"), STATE: join(place, "state"), SHOTS: join(place, "shots") });
process.env.WRIT = resolve(process.env.WRIT);

const { People, Site } = await import("./site.mjs");
const median = (values) => values.sort((one, two) => one - two)[Math.floor(values.length / 2)];
const site = new Site();
await site.start();
const people = await People.launch();
try {
  const first = async (view) => (await site.api(`/api/v1/${view}`)).items[0]?.id;
  const paths = ["/", "/intents", `/intents/${await first("intents")}`, "/intents/new", "/runs", `/runs/${await first("runs")}`,
    "/approvals", "/incidents", "/policy", "/audit", "/recommendations", "/agents", "/contracts", "/settings", "/reference"];
  const door = await people.page(site, "operator");
  const state = await door.context().storageState();
  console.log(`medians of ${VISITS} first visits, nothing cached; ms until the first content is painted, KB over the wire`);
  for (const path of paths) {
    const [painted, wire] = [[], []];
    for (let visit = 0; visit < VISITS; visit++) {
      // A context of its own has a cache of its own.
      const context = await people.browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
      const fresh = await context.newPage();
      const tap = await context.newCDPSession(fresh);
      let bytes = 0;
      await tap.send("Network.enable");
      tap.on("Network.loadingFinished", ({ encodedDataLength }) => { bytes += encodedDataLength; });
      await fresh.goto(site.base + path, { waitUntil: "load" });
      const paint = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
      painted.push(await fresh.waitForFunction(paint).then((found) => found.jsonValue()));
      wire.push(bytes / 1024);
      await context.close();
    }
    console.log(`${path.padEnd(44)} ${median(painted).toFixed(0).padStart(5)} ms ${median(wire).toFixed(1).padStart(7)} KB`);
  }
} finally {
  const left = Object.values(await site.processes());
  await people.close();
  await site.end("SIGTERM");
  left.forEach(({ pid }) => process.kill(pid, "SIGKILL"));
  rmSync(place, { recursive: true, force: true });
}
