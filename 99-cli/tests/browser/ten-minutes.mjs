// What docs/first-ten-minutes.md tells a newcomer to do, done: its commands as they stand there, and its clicks.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { People, Site, until } from "./site.mjs";

const { WRIT, FILES, STATE, DOC } = process.env;
const place = join(dirname(STATE), "newcomer");
mkdirSync(join(place, "bin"), { recursive: true });
mkdirSync(join(place, "examples"));
symlinkSync(WRIT, join(place, "bin/writ"));
symlinkSync(STATE, join(place, ".writ"));
symlinkSync(FILES, join(place, "examples/deploy-web-001"));
const env = { ...process.env, PATH: `${place}/bin:${process.env.PATH}`, XDG_STATE_HOME: join(place, "xdg") };

const doc = readFileSync(DOC, "utf8");
const commands = [...doc.matchAll(/```sh\n([^`]*)```/g)].flatMap(([, block]) => block.trim().split("\n"));
const done = new Set(["cargo build --release", `alias writ="$PWD/target/release/writ"`, "writ dev examples/deploy-web-001"]);

/** Runs a command that stands in the document. */
function run(command, code = 0) {
  assert.ok(commands.includes(command), `the document does not say: ${command}`);
  done.add(command);
  const ran = spawnSync("sh", ["-c", command], { cwd: place, env, encoding: "utf8" });
  assert.equal(ran.status, code, `${command}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout + ran.stderr;
}

const site = new Site();
await site.start();
assert.match(site.printed, /^open +http:\S+\/ +and log in with what `cat .*tokens\/operator` says$/m);
const people = await People.launch();
const operator = await people.page(site, "operator");

// 2
const fresh = await site.processes();
await operator.getByRole("link", { name: "web-service-001" }).first().click();
await until("the page listens", () => operator.evaluate(() => document.body.dataset.live === "on"));
await operator.getByRole("button", { name: "Kill i-2" }).click();
await until("another process", async () => {
  const row = await operator.getByRole("row", { name: /i-2/ }).first().textContent();
  return row.includes("alive") && !row.includes(String(fresh["i-2"].pid));
});
await operator.getByRole("link", { name: "Incidents", exact: true }).click();
const healed = operator.getByRole("row", { name: /resolved/ });
await healed.waitFor();
const healedAfter = (await healed.locator("td").nth(6).textContent()).trim();
assert.match(healedAfter, /^\d+(\.\d+)? m?s$/);
console.log(`healed after ${healedAfter}`);

// 3
assert.match(run("writ why last"), /process ended, signal 9/);
await healed.getByRole("link").first().click();
await operator.getByRole("link", { name: "Why", exact: true }).click();
await operator.getByRole("link", { name: /^\d+$/ }).first().click();
await operator.getByText("Checked in this browser: entry").waitFor();

// 4
run("writ audit evidence last --out e.json");
assert.match(run("writ verify e.json"), /^holds/);
run("sed '0,/signal 9/s//signal 8/' e.json > changed.json");
assert.match(run("writ verify changed.json", 8), /error: entry \d+ does not lead to the signed root/);

// 5
const manifest = readFileSync(join(place, "examples/deploy-web-001/intent.yaml"), "utf8");
async function edit(change) {
  await operator.getByRole("link", { name: "Intents", exact: true }).click();
  await operator.getByRole("cell").getByRole("link", { name: "DEPLOY-WEB-001" }).click();
  await operator.getByRole("link", { name: "Edit as a new version" }).click();
  await operator.getByLabel("Manifest (YAML)").fill(change(manifest));
}
await edit((text) => text.replace("'$500/month'", "'$5000/month'"));
await operator.locator("#checked .mark.bad").getByText("COMP-BUDGET-001").waitFor();
await operator.getByRole("button", { name: "Submit" }).click();
await operator.getByRole("alert").getByText("denied by policy").waitFor();
await operator.locator("#checked .mark.bad").getByText("COMP-BUDGET-001").waitFor();
assert.match(await operator.getByLabel("Manifest (YAML)").inputValue(), /\$5000\/month/, "what was written is not lost");
await operator.getByLabel("Manifest (YAML)").fill(manifest.replace("'$500/month'", "'$50/month'"));
await operator.locator("#checked .fixes").getByText("would do").waitFor();
async function submit(count) {
  await edit((text) => text.replace("min_instances: 3", `min_instances: ${count}`));
  await operator.getByRole("button", { name: "Submit" }).click();
  await operator.waitForURL(/\/runs\/run_/);
}
await submit(4);
await operator.locator(".badges").getByText("succeeded").waitFor();
assert.ok((await site.processes())["i-4"]?.alive);

// 6
await submit(8);
await operator.locator(".badges").getByText("succeeded").waitFor();
await submit(3);
await operator.getByText("Why is it waiting?").waitFor();
const waiting = operator.url();
await operator.getByRole("button", { name: "Log out" }).click();
await operator.getByLabel("Token").fill(readFileSync(join(place, ".writ/tokens/reviewer"), "utf8").trim());
await operator.getByRole("button", { name: "Log in" }).click();
const reviewer = operator;
async function approve(rule) {
  await reviewer.getByRole("link", { name: /^Approvals/ }).click();
  await reviewer.getByRole("cell").getByRole("link", { name: /^apr_/ }).first().click();
  await reviewer.getByText(rule).waitFor();
  await reviewer.getByLabel("Reason").fill("I have looked at it");
  await reviewer.getByRole("button", { name: "Approve" }).click();
  await reviewer.getByText("Your answer is recorded: approved").waitFor();
}
await approve("ARCH-BLAST-001");
await reviewer.goto(waiting);
await reviewer.locator(".badges").getByText("succeeded").waitFor();

// 7
const typed = `writ exec -m "look at the disk" -- df -h`;
assert.ok(commands.includes(typed));
done.add(typed);
const exec = spawn("sh", ["-c", typed], { cwd: place, env });
let told = "";
let printed = "";
exec.stderr.on("data", (data) => { told += data; });
exec.stdout.on("data", (data) => { printed += data; });
const ended = new Promise((resolve) => exec.once("exit", resolve));
await until("it waits", async () => told.includes("needs approval"));
await approve("df -h");
assert.equal(await ended, 0, told);
assert.match(printed, /Filesystem/);
await until("its run is over", async () => (await site.api("/api/v1/runs?limit=100")).items.some((one) =>
  one.context?.origin === "exec" && one.last.kind === "run.succeeded/1"));

assert.deepEqual(commands.filter((command) => !done.has(command)), [], "every command of the document was tried");
await people.close();
await site.end("SIGINT");
console.log("ok the first ten minutes");
