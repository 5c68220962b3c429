// The console as people use it, in a real browser, against a real server with real processes.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import AxeBuilder from "@axe-core/playwright";
import { People, Site, until } from "./site.mjs";

const site = new Site();
const people = await People.launch();
const tests = [];
const test = (name, run) => tests.push([name, run]);
const { FILES } = process.env;

/** Dear enough that somebody has to sign. */
const costly = () => manifest().replace(">1000 req/s", ">20000 req/s").replace("max_instances: 10", "max_instances: 80")
  .replace("'$500/month'", "'$1990/month'");

const manifest = () => readFileSync(`${FILES}/intent.yaml`, "utf8");

/** A playbook that waits for a person when a step of it fails. */
const GROW = `
name: grow
version: 1.0.0
description: Bring a service to a number of instances
timeout_seconds: 300
on_failure: hold
parameters:
  component: { type: string, description: The service }
  count: { type: integer, minimum: 1, maximum: 20, description: How many instances there should be }
actions:
  - name: scale
    type: scale
    parameters: { component: '\${component}', count: '\${count}' }
`;

/** Every place, and one thing of each sort that there is. */
async function paths(site) {
  const first = async (view, fits = () => true) => (await site.api(`/api/v1/${view}`)).items.find(fits)?.id;
  const things = [
    ["/intents", await first("intents")], ["/runs", await first("runs")], ["/incidents", await first("incidents")],
    ["/approvals", await first("approvals")], ["/recommendations", await first("recommendations")], ["/why", "last"], ["/audit", "20"],
  ];
  const places = ["/", "/intents", "/intents/new", "/runs", "/runs?show=open", "/approvals", "/approvals?show=all", "/incidents",
    "/policy", "/policy/playground", "/audit", "/audit?action=nothing-of-the-sort", "/audit/verify", "/recommendations", "/agents", "/agents/scaling-agent-001", "/contracts",
    "/settings", "/reference", "/reference/intents"];
  const ours = ["/intents/DEPLOY-WEB-001/decommission", "/components/web-service-001", "/components/web-service-001/modes/restart_instance"];
  if (things[0][1]) places.push(...ours);
  return [...places, ...things.filter(([, id]) => id).map(([place, id]) => `${place}/${encodeURIComponent(id)}`)];
}

/** What of axe's rules the theme makes a difference to. */
const COLOURS = ["color-contrast", "link-in-text-block"];

/** No serious finding of axe, under all of its rules or some. */
async function sound(page, what, rules = null) {
  const axe = new AxeBuilder({ page });
  const { violations } = await (rules ? axe.withRules(rules) : axe).analyze();
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html).join(" | ")}`);
  assert.deepEqual(told, [], `axe on ${what}`);
}

/** Nothing is beyond the right edge. */
async function fits(page, what) {
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(beyond <= 0, `${what} is wider than its window by ${beyond}`);
}

test("nobody sees a page without logging in, and a wrong token opens none", async () => {
  const context = await people.browser.newContext();
  const page = await context.newPage();
  await page.goto(site.base + "/runs?show=open");
  assert.match(page.url(), /\/login\?next=%2Fruns%3Fshow%3Dopen$/);
  await sound(page, "the login page");
  await page.getByLabel("Token").fill("writ_nobodys");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("not valid").waitFor();
  await page.getByLabel("Token").fill(site.token("operator"));
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(site.base + "/runs?show=open");
  const cookies = await context.cookies();
  const session = cookies.find(({ name }) => name === "writ_session");
  assert.deepEqual([session.httpOnly, session.sameSite], [true, "Strict"]);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.goto(site.base + "/");
  assert.match(page.url(), /\/login/, "the session is over");
  await context.addCookies([session]);
  await page.goto(site.base + "/");
  assert.match(page.url(), /\/login/, "a cookie that was kept opens nothing any more");
  await context.close();
});

test("a form that another site sends changes nothing", async () => {
  const page = await people.page(site, "operator");
  const cookies = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "http://evil.example" }]) {
    const body = "scope=all&command=pull";
    const answer = await fetch(site.base + "/agents", {
      method: "POST", body, headers: { cookie: cookies, "content-type": "application/x-www-form-urlencoded", ...headers },
    });
    assert.equal(answer.status, 403);
  }
  const { items } = await site.api("/api/v1/kill-switch");
  assert.deepEqual(items, []);
  await page.context().close();
});

test("an instance that is killed is healed while the page is looked at", async () => {
  const page = await people.page(site, "operator");
  await until("the page listens", () => page.evaluate(() => document.body.dataset.live === "on"));
  await page.getByText("no incident open").waitFor();
  const before = await site.processes();
  process.kill(before["i-2"].pid, "SIGKILL");
  await page.getByRole("row", { name: /resolve incident/ }).first().waitFor();
  const status = await page.locator("#said").textContent();
  assert.match(status, /self-healing|pipeline|agent/, "the live region says what happened");
  await page.getByRole("link", { name: "Incidents" }).click();
  const row = page.getByRole("row", { name: /health_status = failed/ }).first();
  await row.getByText("resolved").waitFor();
  assert.match(await row.textContent(), /\d+(\.\d)? m?s/, "how long it took is told");
  await row.getByRole("link").first().click();
  await page.getByRole("heading", { name: "Timeline" }).waitFor();
  await page.getByRole("link", { name: "Why" }).click();
  await page.getByText("process ended, signal 9").first().waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("an intent is written, refused with marks, mended and carried out, and its page says what policy says", async () => {
  const page = await people.page(site, "operator");
  await page.goto(site.base + "/intents/new?of=DEPLOY-WEB-001");
  const text = page.getByLabel("Manifest (YAML)");
  await text.fill(manifest().replace("min_instances: 3", "min_instances: many"));
  await page.locator("#checked .mark.bad").first().waitFor();
  await text.fill(manifest().replace("'$500/month'", "'$50/month'"));
  await page.locator("#checked .fixes").getByText("min instances, budget").waitFor();
  await page.getByRole("button", { name: "Submit" }).click();
  await page.locator("#checked .fixes").getByText("min instances, budget").waitFor();
  assert.match(await text.inputValue(), /\$50\/month/, "what was written is not lost");
  await page.getByRole("button", { name: "Take this" }).first().click();
  await page.locator("#checked .answer").getByText("allow").waitFor();
  assert.match(await text.inputValue(), /budget: '\$107.53\/month'/, "the fix is written into the text");
  await text.fill(manifest().replace("min_instances: 3", "min_instances: 4"));
  await page.locator("#checked").getByText("web-service-001/i-4").waitFor();
  await people.shot(page, "intent-new");
  await page.getByRole("button", { name: "Submit" }).click();
  await page.waitForURL(/\/runs\/run_/);
  await page.locator(".badges").getByText("succeeded").waitFor();
  await people.shot(page, "run");
  await page.getByRole("link", { name: "DEPLOY-WEB-001" }).click();
  await page.getByRole("row", { name: /COMP-BUDGET-001/ }).getByText("passed").waitFor();
  await page.getByRole("spinbutton", { name: "Hold" }).fill("1");
  await page.getByRole("button", { name: "Compare" }).click();
  const changed = page.locator("table.diff tr.changed");
  await changed.first().waitFor();
  assert.ok((await changed.allTextContents()).some((row) => /min_instances: 3.*min_instances: 4/s.test(row)));
  await people.shot(page, "intent");
  await page.goto(site.base + "/policy?intent=DEPLOY-WEB-001");
  await page.getByRole("row", { name: /COMP-COST-001/ }).waitFor();
  await page.goto(site.base + "/policy/playground");
  await page.getByLabel("Manifest (YAML)").fill(manifest().replace("'$500/month'", "'$5000/month'"));
  await page.getByRole("button", { name: "Try" }).click();
  await page.getByText("intent.constraints.budget_per_month <= 2000").first().waitFor();
  await page.locator(".mark.bad").getByText("COMP-BUDGET-001").waitFor();
  assert.deepEqual(page.complaints.filter((told) => !told.includes("422")), []);
  await page.context().close();
});

test("who asks cannot answer; a second person approves without scripts", async () => {
  const asks = await people.page(site, "operator");
  await asks.goto(site.base + "/intents/new");
  await asks.getByLabel("Manifest (YAML)").fill(costly());
  await asks.getByRole("button", { name: "Submit" }).click();
  await asks.waitForURL(/\/runs\/run_/);
  await asks.getByText("Why is it waiting?").waitFor();
  await asks.locator(".banner.ask a").click();
  await asks.getByText("You asked for this yourself").waitFor();
  const at = asks.url();

  const answers = await people.page(site, "reviewer", { javaScriptEnabled: false });
  await answers.goto(site.base + "/approvals");
  assert.match(await answers.title(), /^\(1\) /);
  await answers.goto(at);
  await answers.getByText("COMP-COST-001").waitFor();
  await answers.locator("table.diff").getByText("20000 req/s").first().waitFor();
  await people.shot(answers, "approval");
  await answers.getByLabel("Reason").fill("no <script>alert(1)</script>, not at this price");
  await answers.getByRole("button", { name: "Reject" }).click();
  await answers.getByText("Your answer is recorded: rejected").waitFor();
  await answers.getByText("<script>alert(1)</script>").waitFor();

  await asks.goto(site.base + "/intents/new");
  await asks.getByLabel("Manifest (YAML)").fill(costly());
  await asks.getByRole("button", { name: "Submit" }).click();
  await asks.waitForURL(/\/runs\/run_/);
  const waiting = asks.url();
  await asks.getByRole("button", { name: "Cancel" }).click();
  await asks.locator(".badges").getByText("cancelled").waitFor();
  assert.equal(asks.url().split("?")[0], waiting.split("?")[0]);
  await asks.context().close();
  await answers.context().close();
});

test("an approval of the second person lets a change go on", async () => {
  const submit = (text) => site.api("/api/v1/intents", { method: "POST", body: JSON.stringify({ name: "i.yaml", text }) });
  const asks = await people.page(site, "operator");
  const many = await submit(manifest().replace("min_instances: 3", "min_instances: 8"));
  await asks.goto(`${site.base}/runs/${many.run}`);
  await asks.locator(".badges").getByText("succeeded").waitFor();
  // Most of them go again: more than half as many as are left.
  const few = await submit(manifest());
  await asks.goto(`${site.base}/runs/${few.run}`);
  await asks.getByText("Why is it waiting?").waitFor();
  await until("the page listens", () => asks.evaluate(() => document.body.dataset.live === "on"));
  const answers = await people.page(site, "reviewer", { javaScriptEnabled: false });
  await answers.goto(site.base + "/approvals");
  await answers.getByRole("row", { name: /operator/ }).getByRole("link").first().click();
  await answers.getByText("ARCH-BLAST-001").waitFor();
  await answers.getByLabel("Reason").fill("the fair is over");
  await answers.getByRole("button", { name: "Approve" }).click();
  await answers.getByText("Your answer is recorded: approved").waitFor();
  // The page of whoever asked follows without being touched.
  await asks.locator(".badges").getByText("succeeded").waitFor();
  assert.equal(Object.keys(await site.processes()).filter((slot) => slot !== "lb").length, 3);
  await asks.context().close();
  await answers.context().close();
});

test("entries are found by filters in the address, and each proof is checked in the browser", async () => {
  const page = await people.page(site, "reviewer");
  await page.goto(site.base + "/audit");
  await page.getByLabel("Who").fill("self-healing-agent-001");
  await page.getByLabel("Outcome").selectOption("success");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.match(page.url(), /actor=self-healing-agent-001/);
  assert.match(page.url(), /outcome=success/);
  const row = page.locator("table.entries tbody tr").first();
  await row.getByRole("link").first().click();
  await page.getByText("Checked in this browser: entry").waitFor();
  assert.equal(await page.locator("#proof").getAttribute("data-checked"), "good");
  await people.shot(page, "entry");
  await page.reload();
  await page.getByText("The key is the one this browser has known").waitFor();
  // One byte of the entry, of the path, of the checkpoint: each is noticed.
  for (const spoil of ["entry", "path", "note"]) {
    const told = await page.evaluate(async (part) => {
      const place = document.getElementById("proof");
      const kept = place.dataset.proof;
      const proof = JSON.parse(kept);
      const flip = (text, at) => text.slice(0, at) + (text[at] === "1" ? "2" : "1") + text.slice(at + 1);
      if (part === "entry") proof.entry = proof.entry.replace("success", "failure");
      if (part === "path") proof.path[0] = flip(proof.path[0], 10);
      if (part === "note") proof.note = proof.note.replace(/\n(\d+)\n/, (_, size) => `\n${size}1\n`);
      place.dataset.proof = JSON.stringify(proof);
      const { check } = await import("/assets/proof.js");
      await check();
      place.dataset.proof = kept;
      return [place.dataset.checked, document.getElementById("proof-said").textContent];
    }, spoil);
    assert.equal(told[0], "bad", `${spoil}: ${told[1]}`);
    assert.match(told[1], /does not hold/);
  }
  await page.goto(site.base + "/audit/verify");
  await page.getByText("The log holds.").waitFor();
  const evidence = await page.request.get(`${site.base}/api/v1/audit/evidence/last`);
  assert.equal(evidence.status(), 200, "a page's own session reads the API");
  const changed = await page.request.post(`${site.base}/api/v1/kill-switch`, { data: { scope: { scope: "all" }, pulled: true } });
  assert.equal(changed.status(), 401, "and changes nothing there");
  await page.context().close();
});

test("a recommendation is approved by the second person and carried out", async () => {
  const load = async () => {
    const { lb } = await site.processes();
    await fetch(`http://${lb.address}/`).then((answer) => answer.text()).catch(() => null);
  };
  // All answer some requests with errors until that is noticed: the target is missed in this window.
  const all = await site.processes();
  for (const { slot, address } of Object.values(all)) {
    if (slot !== "lb") await fetch(`http://${address}/trigger_errors?percent=40`, { method: "POST" });
  }
  // Requests go on until it has helped: without any nobody could tell, and what is still tried would change the world under the
  // plan that comes of the recommendation.
  const over = (kind) => /\.(resolved|closed|succeeded|failed|rolled_back|cancelled|rejected|expired)\/1$/.test(kind);
  await until("it is noticed, healed, and nothing is under way", async () => {
    await Promise.all(Array.from({ length: 10 }, load));
    const [incidents, runs] = await Promise.all(["incidents", "runs"].map((view) => site.api(`/api/v1/${view}?limit=1000`)));
    const seen = incidents.items.some(({ condition }) => condition?.includes("error_rate"));
    return seen && [...incidents.items, ...runs.items].every(({ last }) => over(last.kind));
  }, 90_000);
  const collect = async () => {
    const body = JSON.stringify({ seconds: 120 });
    const told = await site.api("/api/v1/feedback", { method: "POST", body });
    const { items } = await site.api("/api/v1/recommendations");
    return items.some(({ recommendation }) => recommendation?.patch) && told;
  };
  await until("something with a patch is recommended", collect, 30_000);
  const page = await people.page(site, "reviewer");
  await page.goto(site.base + "/recommendations");
  await page.getByRole("row", { name: /buffer instance/ }).getByRole("link").first().click();
  await page.locator("table.diff").getByText("min_instances: 4").first().waitFor();
  const interval = page.getByRole("region", { name: "What it should bring" }).locator("tbody tr").first().locator("td").nth(2);
  assert.match(await interval.textContent(), /\d.* to .*\d/, "how far it may be off");
  const evidence = page.locator("dd", { has: page.locator("a.id") }).locator('a[href^="/audit/evt_"]');
  assert.ok(await evidence.count() > 0, "what it rests on");
  const rests = await page.request.get(site.base + await evidence.first().getAttribute("href"));
  assert.equal(rests.status(), 200);
  await people.shot(page, "recommendation");
  await page.getByLabel("Reason").fill("Mondays are busy");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.waitForURL(/\/runs\/run_/);
  await page.locator(".badges").getByText("succeeded").waitFor();
  const { items } = await site.api("/api/v1/intents");
  assert.equal(items[0].to, "monitoring");
  await page.context().close();
});

test("a waiver is asked for by one and granted by another; the kill switch is pulled and released", async () => {
  const asks = await people.page(site, "operator");
  await asks.goto(site.base + "/policy");
  await asks.getByText("Ask for a waiver").click();
  const form = asks.locator("details form");
  await form.getByLabel("Rule").fill("COMP-BUDGET-001");
  await form.getByLabel("Subject").fill("DEPLOY-WEB-001");
  await form.getByLabel("Reason").fill("the audit is next week");
  await form.getByRole("button", { name: "Ask" }).click();
  await asks.getByRole("row", { name: /the audit is next week/ }).getByText("asked").waitFor();
  assert.equal(await asks.getByRole("button", { name: "Grant" }).count(), 0);
  const grants = await people.page(site, "reviewer");
  await grants.goto(site.base + "/policy");
  const waiver = grants.getByRole("row", { name: /the audit is next week/ });
  await waiver.getByLabel("Reason").fill("until the audit is over");
  await waiver.getByRole("button", { name: "Grant" }).click();
  await waiver.getByText("granted").waitFor();
  await asks.goto(site.base + "/agents");
  await asks.getByRole("button", { name: "Stop everything" }).click();
  await asks.getByRole("heading", { name: "Kill switches that are pulled" }).waitFor();
  await asks.getByRole("button", { name: "Release the kill switch" }).click();
  await asks.getByRole("button", { name: "Stop everything" }).waitFor();
  await asks.context().close();
  await grants.context().close();
});

test("the keyboard goes everywhere", async () => {
  const page = await people.page(site, "operator");
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.waitForURL(site.base + "/runs");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/runs\/run_/);
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("next, previous row").waitFor();
  await sound(page, "the help over the keys");
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("DEPLOY-WEB-001\n");
  await page.waitForURL(/\/intents\/DEPLOY-WEB-001/);
  await page.context().close();
});

test("what has the focus keeps it when news come", async () => {
  const page = await people.page(site, "operator");
  await page.goto(site.base + "/audit");
  await until("the page listens", () => page.evaluate(() => document.body.dataset.live === "on"));
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const [row, href] = await page.evaluate(() => {
    window.focused = document.activeElement;
    return [document.activeElement.closest("tr").id, document.activeElement.getAttribute("href")];
  });
  assert.match(href, /^\/audit\/evt_/);
  const newest = await page.locator("table.entries tbody tr").first().getAttribute("id");
  await site.api("/api/v1/maintenance", { method: "POST", body: JSON.stringify({ on: false }) });
  await until("news are in the table", async () => await page.locator("table.entries tbody tr").first().getAttribute("id") !== newest);
  const now = await page.evaluate(() => [document.activeElement === window.focused, document.activeElement.closest("tr")?.id,
    document.activeElement.getAttribute("href")]);
  assert.deepEqual(now, [true, row, href]);
  await page.context().close();
});

test("light and dark are changed between, and stay so", async () => {
  const page = await people.page(site, "operator");
  const theme = () => page.locator("html").getAttribute("data-theme");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await theme(), "system");
  const light = await ground();
  for (const chosen of ["dark", "light"]) {
    await page.goto(site.base + "/runs?show=open");
    await page.getByRole("button", { name: new RegExp(`${chosen} theme`, "i") }).click();
    await page.waitForURL(site.base + "/runs?show=open");
    assert.equal(await theme(), chosen);
    await page.reload();
    assert.equal(await theme(), chosen);
    assert.equal(await ground() === light, chosen === "light");
  }
  await page.context().close();
});

test("what somebody writes is not lost when news come", async () => {
  const page = await people.page(site, "operator");
  const approval = (await site.api("/api/v1/approvals")).items[0].id;
  await page.goto(site.base + "/intents/DEPLOY-WEB-001");
  await until("the page listens", () => page.evaluate(() => document.body.dataset.live === "on"));
  const field = page.getByRole("spinbutton", { name: "Hold" });
  await field.fill("2");
  const all = await site.processes();
  process.kill(all["i-1"].pid, "SIGKILL");
  await until("healed", async () => (await site.processes())["i-1"]?.pid !== all["i-1"].pid);
  await new Promise((done) => setTimeout(done, 600));
  assert.equal(await field.inputValue(), "2");
  assert.equal(await page.evaluate(() => document.activeElement.name), "old", "the focus stays");
  assert.ok(approval);
  await page.context().close();
});

test("a change is paused, goes on and is rolled back, and whoever looks at it sees so, whatever is killed meanwhile", async () => {
  const post = (path, body) => site.api(path, { method: "POST", body: JSON.stringify(body) });
  const held = (pulled) => post("/api/v1/kill-switch", { scope: { scope: "action", action: "deploy_instances" }, pulled });
  const asks = async (count) => {
    const text = manifest().replace("min_instances: 3", `min_instances: ${count}`);
    return (await post("/api/v1/intents", { name: "i.yaml", text })).run;
  };
  await held(true);
  const run = await asks(5);
  const watches = await people.page(site, "reviewer");
  await watches.goto(`${site.base}/runs/${run}`);
  await until("the page listens", () => watches.evaluate(() => document.body.dataset.live === "on"));
  await watches.evaluate(() => { window.same = true; });
  const badge = (page, word) => page.locator(".badges .badge", { hasText: new RegExp(`${word}$`) }).waitFor();
  const tells = await people.page(site, "operator");
  await tells.goto(`${site.base}/runs/${run}`);
  await tells.getByRole("row", { name: /i-5/ }).getByText("the kill switch").first().waitFor();
  await tells.getByRole("button", { name: "Pause" }).click();
  await tells.getByText("pause: recorded").waitFor();
  await badge(watches, "paused");
  // One of its instances dies and is healed; then the server dies.
  const before = await site.processes();
  process.kill(before["i-3"].pid, "SIGKILL");
  await until("healed", async () => (await site.processes())["i-3"]?.pid !== before["i-3"].pid);
  await site.end("SIGKILL");
  await until("the page says that it is not connected", () => watches.locator("#link").isVisible());
  await site.start(["--no-submit"]);
  await tells.goto(`${site.base}/runs/${run}`);
  await tells.getByRole("button", { name: "Resume" }).click();
  await tells.getByText("resume: recorded").waitFor();
  await badge(watches, "running");
  await held(false);
  await badge(watches, "succeeded");
  await watches.getByRole("row", { name: /i-5/ }).getByText("succeeded").waitFor();
  assert.ok(await watches.evaluate(() => window.same), "the page was never loaded again");
  assert.ok((await site.processes())["i-5"]?.alive);
  // What was begun is taken back.
  await held(true);
  await tells.goto(`${site.base}/runs/${await asks(7)}`);
  await tells.getByRole("row", { name: /i-7/ }).getByText("the kill switch").first().waitFor();
  await tells.getByRole("button", { name: "Roll back" }).click();
  await badge(tells, "rolled back");
  await held(false);
  assert.equal((await site.processes())["i-7"], undefined);
  await watches.context().close();
  await tells.context().close();
});

test("a step that failed is tried again by a click", async () => {
  const post = (path, body) => site.api(path, { method: "POST", body: JSON.stringify(body) });
  const serving = async () => Object.values(await site.processes()).filter(({ slot, alive }) => slot !== "lb" && alive).length;
  const count = await serving();
  const order = (count) => ({ arguments: { component: "web-service-001", count }, reason: "a launch" });
  const { steps } = await post("/api/v1/playbooks/grow/plan", order(count + 1));
  const added = steps.map(({ resource }) => resource).find((resource) => /\/i-\d+$/.test(resource));
  // A file stands where it would keep what is its own: it cannot begin.
  const [component, slot] = added.split("/");
  const inTheWay = `${site.state}/world/components/${component}/data/${slot}`;
  rmSync(inTheWay, { recursive: true, force: true });
  writeFileSync(inTheWay, "");
  const { run } = await post("/api/v1/playbooks/grow/run", order(count + 1));
  const page = await people.page(site, "operator");
  await page.goto(`${site.base}/runs/${run}`);
  const row = page.getByRole("row", { name: slot });
  await row.getByText("failed").first().waitFor();
  await people.shot(page, "retry");
  rmSync(inTheWay);
  await row.getByRole("button", { name: "Try again" }).click();
  await page.getByText("retry: recorded").waitFor();
  await page.locator(".badges .badge", { hasText: /succeeded$/ }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0);
  assert.equal(await serving(), count + 1);
  const { items } = await site.api("/api/v1/audit/entries?kind=run.step_readied/1&limit=1");
  assert.deepEqual([items[0].stream, items[0].actor.kind], [`run/${run}`, "human"], "whose order it was is recorded");
  await post("/api/v1/playbooks/grow/run", order(count));
  await until("it is as it was", async () => await serving() === count);
  await page.context().close();
});

test("what somebody waits for says that it is on its way", async () => {
  const page = await people.page(site, "operator");
  /** Holds the answers of an address back until they are let go. */
  const hold = async (address) => {
    let letGo;
    const held = new Promise((go) => { letGo = go; });
    await page.route(address, async (route) => { await held; await route.continue(); });
    return async () => { letGo(); await page.unroute(address, { behavior: "wait" }); };
  };
  const line = (part) => part.evaluate((element) => getComputedStyle(element, "::before").animationName);
  const busy = (part) => page.locator(`${part}[aria-busy="true"]`);
  await page.goto(site.base + "/intents/new?of=DEPLOY-WEB-001");
  await page.waitForFunction(() => window.htmx);
  const answer = await hold("**/intents/check");
  await page.getByLabel("Manifest (YAML)").fill(manifest().replace("min_instances: 3", "min_instances: many"));
  await busy("#checked").waitFor();
  assert.equal(await line(page.locator("#checked")), "runs");
  await answer();
  await page.locator("#checked .mark.bad").first().waitFor();
  assert.equal(await busy("#checked").count(), 0);
  await page.goto(site.base + "/audit");
  const verified = await hold("**/audit/verify");
  // Nothing can be asked of a page while another is on its way; it tells the other one what it looked like.
  await page.evaluate(() => new MutationObserver(() => {
    const main = document.getElementById("main");
    if (main.ariaBusy === "true") sessionStorage.setItem("line", getComputedStyle(main, "::before").animationName);
  }).observe(document.getElementById("main"), { attributes: true }));
  await page.getByRole("link", { name: "Verify the whole log" }).click({ noWaitAfter: true });
  await verified();
  await page.getByText("The log holds.").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("line")), "runs");
  assert.equal(await busy("main").count(), 0);
  await page.context().close();
});

test("a page comes back after the server was killed, and no event is lost", async () => {
  const page = await people.page(site, "operator");
  await until("the page listens", () => page.evaluate(() => document.body.dataset.live === "on"));
  const from = await page.evaluate(() => {
    const from = Number(document.body.dataset.size);
    window.seen = [];
    const source = new EventSource(`/api/v1/events?after=${from - 1}`);
    source.addEventListener("entry", (event) => window.seen.push(Number(event.lastEventId)));
    return from;
  });
  const change = () => site.api("/api/v1/maintenance", { method: "POST", body: JSON.stringify({ on: false }) });
  await change();
  await until("something was seen", () => page.evaluate(() => window.seen.length > 0));
  await site.end("SIGKILL");
  await until("the page says that it is not connected", () => page.locator("#link").isVisible());
  await site.start(["--no-submit"]);
  await change();
  const { items } = await site.api("/api/v1/audit/entries?limit=1");
  await until("all is seen", () => page.evaluate((last) => window.seen.includes(last), items[0].seq), 30_000);
  const seen = await page.evaluate(() => window.seen);
  const wanted = Array.from({ length: items[0].seq - from + 1 }, (_, at) => from + at);
  assert.deepEqual(seen.filter((seq) => seq <= items[0].seq), wanted, "each once, in order, none missing");
  await until("the page is connected again", async () => !(await page.locator("#link").isVisible()));
  await page.context().close();
});

/** What stands only while something waits for people: their paths, and who can do something about them. */
async function waiting() {
  const post = (path, body) => site.api(path, { method: "POST", body: JSON.stringify(body) });
  const { run } = await post("/api/v1/intents", { name: "i.yaml", text: costly() });
  const reason = "nobody else is awake";
  const glass = await post("/api/v1/break-glass", { actions: ["restart_*"], targets: ["web-service-001/*"], minutes: 30, reason });
  const { items } = await site.api("/api/v1/approvals?limit=1000");
  const asked = items.find((one) => JSON.stringify(one).includes(run));
  return { run, approval: `/approvals/${asked.id}`, glass: `/approvals/${glass.approval}` };
}

/** A page is sound in light and in dark, and fits at each width; it is kept as a picture of each. */
async function passes(page, what) {
  const name = what.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "").slice(0, 30) || "home";
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await sound(page, `${what} ${theme}`, theme === "dark" ? COLOURS : null);
    for (const width of [390, 1024, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      await fits(page, `${what} at ${width}`);
      await people.shot(page, `${name}-${width}-${theme}`);
    }
  }
}

/** Sends a form that no page offers, and answers with the status. */
async function sends(page, path, fields) {
  await page.goto(site.base + "/settings");
  const answered = page.waitForResponse((answer) => answer.request().isNavigationRequest() && answer.request().method() === "POST");
  await page.evaluate(([path, fields]) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: path });
    for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement("input"), { name, value }));
    document.body.append(form);
    form.submit();
  }, [path, fields]);
  const status = (await answered).status();
  await page.getByRole("alert").waitFor();
  return status;
}

test("every page is sound, light and dark, at each width, of no more than 100 KB, also without scripts", async () => {
  const all = [...await paths(site), "/policy?rule=COMP-BUDGET-001"];
  const page = await people.page(site, "operator");
  const tap = await page.context().newCDPSession(page);
  let bytes = 0;
  await tap.send("Network.enable");
  await tap.send("Network.setCacheDisabled", { cacheDisabled: true });
  tap.on("Network.loadingFinished", ({ encodedDataLength }) => { bytes += encodedDataLength; });
  const visit = async (path) => {
    bytes = 0;
    const answer = await page.goto(site.base + path);
    assert.equal(answer.status(), 200, path);
    await page.waitForFunction(() => window.htmx);
    assert.ok(bytes > 20 * 1024 && bytes <= 100 * 1024, `${path} takes ${bytes} bytes over the wire`);
    assert.equal(await page.locator("h1").count(), 1, path);
    await passes(page, path);
  };
  for (const path of all) await visit(path);
  const { run, approval, glass } = await waiting();
  for (const path of [`/runs/${run}`, "/intents/DEPLOY-WEB-001?old=1&new=2", glass]) await visit(path);
  for (const [path, status] of [["/runs/run_00000000000000000000000000", 404], ["/why/nothing", 404], ["/nowhere", 404], ["/runs?show=a&show=b", 400],
    ["/audit?outcome=fine", 400]]) {
    const answer = await page.goto(site.base + path);
    assert.equal(answer.status(), status, path);
    await passes(page, `${status} ${path}`);
  }
  assert.equal(await sends(page, `/runs/${run}`, { command: "resume" }), 409);
  await passes(page, "409, what cannot be now");
  const reviewer = await people.page(site, "reviewer");
  for (const [path, button] of [[approval, "Approve"], [glass, "End it now"]]) {
    await reviewer.goto(site.base + path);
    await reviewer.getByRole("button", { name: button }).waitFor();
    await passes(reviewer, `${button} ${path}`);
  }
  assert.equal(await sends(reviewer, "/agents", { scope: "all", command: "pull" }), 403);
  await passes(reviewer, "403, what somebody may not");
  const refused = [...page.complaints, ...reviewer.complaints].filter((told) => !/status of 4\d\d/.test(told));
  assert.deepEqual(refused, [], "nothing that the content policy refuses, no script that fails");
  await page.context().close();
  await reviewer.context().close();
  const plain = await people.page(site, "reviewer", { javaScriptEnabled: false });
  for (const path of all) {
    await plain.goto(site.base + path);
    assert.ok((await plain.locator("main").textContent()).trim().length > 20, path);
  }
  await plain.context().close();
});

test("every page of an installation in which nothing happened yet is sound, light and dark", async () => {
  const empty = new Site(`${site.state}-empty`);
  await empty.start(["--no-submit"]);
  try {
    const page = await people.page(empty, "operator");
    for (const path of await paths(empty)) {
      const answer = await page.goto(empty.base + path);
      if (path.startsWith("/why/") || path === "/audit/20") continue;
      assert.equal(answer.status(), 200, path);
      for (const theme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: theme });
        await sound(page, `${path}, empty, ${theme}`, theme === "dark" ? COLOURS : null);
      }
      await page.setViewportSize({ width: 390, height: 900 });
      await fits(page, `${path}, empty, at 390`);
      await page.setViewportSize({ width: 1440, height: 900 });
    }
    assert.deepEqual(page.complaints.filter((told) => !/status of 4\d\d/.test(told)), []);
    await page.context().close();
  } finally {
    await empty.end("SIGINT");
  }
});

let failed = 0;
const only = process.env.ONLY;
writeFileSync(`${FILES}/playbooks/grow.yaml`, GROW);
await site.start();
for (const [name, run] of tests) {
  if (only && !name.includes(only)) continue;
  const began = Date.now();
  try {
    await run();
    console.log(`ok ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed += 1;
    const { items } = await site.api("/api/v1/runs?limit=1000").catch(() => ({ items: [] }));
    const runs = items.map(({ id, last, context }) => `${id} ${context?.origin} ${last.kind}`).join("\n");
    console.log(`FAILED ${name}: ${error.stack}\n${runs}`);
  }
}
await people.close();
await site.end("SIGINT");
process.exit(failed === 0 ? 0 : 1);
