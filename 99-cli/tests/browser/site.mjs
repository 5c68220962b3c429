// A `writ dev` of its own, and browsers for its people.
import { spawn } from "node:child_process";
import { readFileSync, existsSync, mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const { WRIT, FILES, STATE, SHOTS, CHROMIUM } = process.env;

// Nothing of what a browser does by itself leads out of this machine.
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

export class Site {
  constructor(state = STATE) { this.state = state; this.child = null; this.listen = "127.0.0.1:0"; this.base = ""; this.printed = ""; }

  /** Starts, or starts again on the same port, and waits until it is up. */
  async start(args = []) {
    this.child = spawn(WRIT, ["--state", this.state, "dev", FILES, "--listen", this.listen, "--keep", ...args]);
    let out = "";
    await new Promise((done, failed) => {
      const hear = (data) => { out += data; if (out.includes("next: ")) done(); };
      this.child.stdout.on("data", hear);
      this.child.stderr.on("data", hear);
      this.child.once("exit", (code) => failed(new Error(`writ dev ended with ${code}: ${out}`)));
    });
    this.printed = out;
    this.base = out.match(/http:\/\/\S+/)[0];
    this.listen = this.base.replace("http://", "");
  }

  async end(signal) {
    this.child.removeAllListeners("exit");
    const gone = new Promise((done) => this.child.once("exit", done));
    this.child.kill(signal);
    await gone;
  }

  token(name) { return readFileSync(`${this.state}/tokens/${name}`, "utf8").trim(); }

  /** An answer of the API as JSON. */
  async api(path, { as = "operator", ...rest } = {}) {
    const headers = { authorization: `Bearer ${this.token(as)}`, "content-type": "application/json" };
    const answer = await fetch(this.base + path, { headers, ...rest });
    return answer.json();
  }

  async processes() {
    const { items } = await this.api("/api/v1/processes");
    return Object.fromEntries(items.map((one) => [one.slot, one]));
  }
}

export class People {
  static async launch(options = {}) {
    const people = new People();
    people.browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET, ...options });
    if (!existsSync(SHOTS)) mkdirSync(SHOTS, { recursive: true });
    return people;
  }

  /** A page of somebody who is logged in. Whatever its console complains about fails the test. */
  async page(site, name, options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    page.complaints = [];
    page.on("pageerror", (error) => page.complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") page.complaints.push(message.text());
    });
    await page.goto(site.base + "/login");
    await page.getByLabel("Token").fill(site.token(name));
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(site.base + "/");
    return page;
  }

  shot(page, name) { return page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true }); }

  close() { return this.browser.close(); }
}

/** Waits for something to be so, with an end. */
export async function until(what, look, ms = 20_000) {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await look().catch(() => null);
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`it did not come to this: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
