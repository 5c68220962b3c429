// Logging in by an issuer, in a real browser. The issuer is another site: it is `localhost`, and writ `127.0.0.1`. So the way back is
// one on which browsers show no strict cookie, and this fails if writ went on by a redirect.
import assert from "node:assert/strict";
import { createHash, createSign, generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { People, Site } from "./site.mjs";

const CLIENT = "writ";
const SUBJECT = "00uk3x7q";
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const base64 = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const codes = new Map();
let issuer = "";

/** Somebody is asked whether it is they, and says so with a button: as at any issuer. */
function answer(request, response) {
  const url = new URL(request.url, issuer);
  const json = (document) => { response.setHeader("content-type", "application/json"); response.end(JSON.stringify(document)); };
  const page = (text) => { response.setHeader("content-type", "text/html"); response.end(text); };
  if (url.pathname === "/.well-known/openid-configuration") {
    return json({
      issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
    });
  }
  if (url.pathname === "/keys") return json({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "RS256" }] });
  if (url.pathname === "/authorize") {
    const asked = Object.fromEntries(url.searchParams);
    assert.equal(asked.client_id, CLIENT);
    const code = randomUUID();
    codes.set(code, asked);
    const back = new URL(asked.redirect_uri);
    back.search = new URLSearchParams({ code, state: asked.state, iss: issuer });
    return page(`<!doctype html><title>Issuer</title><a href="${back.href.replaceAll("&", "&amp;")}">It is me</a>`);
  }
  if (url.pathname !== "/token") {
    response.statusCode = 404;
    return response.end();
  }
  let body = "";
  request.on("data", (data) => { body += data; });
  request.on("end", () => {
    const asked = Object.fromEntries(new URLSearchParams(body));
    const begun = codes.get(asked.code);
    codes.delete(asked.code);
    const shown = createHash("sha256").update(asked.code_verifier).digest("base64url");
    if (!begun || shown !== begun.code_challenge || asked.client_id !== CLIENT) {
      response.statusCode = 400;
      return json({ error: "invalid_grant" });
    }
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: CLIENT, sub: SUBJECT, exp: now + 300, iat: now, nonce: begun.nonce };
    const message = `${base64({ alg: "RS256", kid: "k1" })}.${base64(claims)}`;
    const signature = createSign("RSA-SHA256").update(message).sign(privateKey).toString("base64url");
    json({ access_token: "x", token_type: "Bearer", id_token: `${message}.${signature}` });
  });
}

const server = createServer(answer);
await new Promise((done) => server.listen(0, "localhost", done));
issuer = `http://localhost:${server.address().port}`;
const site = new Site();
await site.start(["--set", `oidc.issuer=${issuer}`, "--set", `oidc.client_id=${CLIENT}`, "--no-submit"]);
const people = await People.launch();
try {
  const context = await people.browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  const byIssuer = async () => {
    await page.goto(`${site.base}/agents`);
    await page.getByRole("link", { name: /Log in with localhost/ }).click();
    await page.getByRole("link", { name: "It is me" }).click();
  };

  await byIssuer();
  await page.getByRole("alert").waitFor();
  const told = await page.getByRole("alert").textContent();
  assert.match(told, new RegExp(`knows you as .${SUBJECT}.*writ person link NAME --subject '${SUBJECT}' -m REASON`));
  await people.shot(page, "login-stranger");
  console.log("ok a stranger is told what an administrator needs");

  const body = JSON.stringify({ subject: SUBJECT, reason: "hers" });
  const linked = await site.api("/api/v1/principals/reviewer/links", { method: "POST", body });
  assert.equal(linked.state, "made");
  await byIssuer();
  await page.waitForURL(`${site.base}/agents`);
  await page.getByRole("heading", { name: "Agents", level: 1 }).waitFor();
  console.log("ok whoever is linked comes to the page that they wanted, though another site sent them");

  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name === "writ_session");
  assert.deepEqual([session.sameSite, session.httpOnly], ["Strict", true]);
  assert.equal(cookies.find((cookie) => cookie.name === "writ_oidc"), undefined);
  await page.goto(`${site.base}/settings`);
  await page.getByText("reviewer").first().waitFor();
  console.log("ok the session is strict, and what was shown on the way is gone");

  const { items } = await site.api("/api/v1/principals/reviewer/links");
  await site.api(`/api/v1/principals/reviewer/links/${items[0].id}`, { method: "DELETE" });
  await page.goto(`${site.base}/settings`);
  await page.getByLabel("Token").waitFor();
  console.log("ok a session ends with the link that opened it");

  // Nobody has to run scripts to come in.
  const plain = await people.browser.newContext({ javaScriptEnabled: false });
  await site.api("/api/v1/principals/reviewer/links", { method: "POST", body });
  const quiet = await plain.newPage();
  await quiet.goto(`${site.base}/login?next=/runs`);
  await quiet.getByRole("link", { name: /Log in with localhost/ }).click();
  await quiet.getByRole("link", { name: "It is me" }).click();
  await quiet.waitForURL(`${site.base}/runs`);
  console.log("ok it goes without JavaScript");
  assert.deepEqual(complaints, []);
} finally {
  await people.close();
  await site.end("SIGINT");
  server.close();
}
