// Checks, in this browser and with its own cryptography, that an entry is in the log: the entry's bytes lead by hashes
// (RFC 6962, section 2.1) to the root that a checkpoint (C2SP signed note, ed25519) signs. The key is remembered, so that another
// one is noticed the next time.

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const hex = (data) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
const utf8 = (text) => new TextEncoder().encode(text);

function joined(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { out.set(part, at); at += part.length; }
  return out;
}

const sha256 = async (data) => new Uint8Array(await crypto.subtle.digest("SHA-256", data));

/** The root that an entry leads to, or null when the path has not the length it must have. */
export async function rootOf(entry, index, size, path) {
  let hash = await sha256(joined(Uint8Array.of(0), entry));
  let first = index;
  let end = size - 1;
  if (!(index < size)) return null;
  for (const sibling of path) {
    if (end === 0) return null;
    if (first % 2 === 1 || first === end) {
      hash = await sha256(joined(Uint8Array.of(1), sibling, hash));
      while (first % 2 === 0 && first !== 0) { first = Math.floor(first / 2); end = Math.floor(end / 2); }
    } else {
      hash = await sha256(joined(Uint8Array.of(1), hash, sibling));
    }
    first = Math.floor(first / 2);
    end = Math.floor(end / 2);
  }
  return end === 0 ? hash : null;
}

/** What a signed note says, once its signature holds under the key: origin, size and root. */
export async function opened(note, key) {
  const split = note.lastIndexOf("\n\n");
  const body = note.slice(0, split + 1);
  const signatures = note.slice(split + 2).split("\n").filter(Boolean);
  const [name, id, encoded] = [key.slice(0, key.indexOf("+")), ...key.slice(key.indexOf("+") + 1).split(/\+(.*)/s)];
  const material = bytes(encoded);
  if (material[0] !== 1) throw new Error("the key is no ed25519 key");
  const wanted = hex((await sha256(joined(utf8(`${name}\n`), material))).slice(0, 4));
  if (wanted !== id) throw new Error("the key's own id does not fit it");
  const publicKey = await crypto.subtle.importKey("raw", material.slice(1), { name: "Ed25519" }, false, ["verify"]);
  for (const line of signatures) {
    const at = line.lastIndexOf(" ");
    if (!line.startsWith("— ") || line.slice(2, at) !== name) continue;
    const data = bytes(line.slice(at + 1));
    if (hex(data.slice(0, 4)) !== id) continue;
    if (await crypto.subtle.verify({ name: "Ed25519" }, publicKey, data.slice(4), utf8(body))) {
      const [origin, size, root] = body.split("\n");
      if (origin !== name) throw new Error("the checkpoint is another log's");
      return { size: Number(size), root: bytes(root) };
    }
  }
  throw new Error("no signature of the checkpoint holds under the key");
}

/** Remembers the key of a log; says whether it was known, is new, or has changed. */
function remembered(key) {
  const name = `writ-key ${key.slice(0, key.indexOf("+"))}`;
  try {
    const known = localStorage.getItem(name);
    if (known === null) { localStorage.setItem(name, key); return "new"; }
    return known === key ? "known" : "changed";
  } catch { return "new"; }
}

export async function check() {
  const place = document.getElementById("proof");
  const said = document.getElementById("proof-said");
  let state = "bad";
  try {
    const proof = JSON.parse(place.dataset.proof);
    const checkpoint = await opened(proof.note, proof.key);
    if (checkpoint.size !== proof.size) throw new Error("the checkpoint is over another number of entries");
    const root = await rootOf(utf8(proof.entry), proof.index, proof.size, proof.path.map(unhex));
    if (root === null || hex(root) !== hex(checkpoint.root)) throw new Error("the entry does not lead to the signed root");
    const key = remembered(proof.key);
    state = key === "changed" ? "warn" : "good";
    said.textContent = `Checked in this browser: entry ${proof.index} is in the log under the checkpoint over ${proof.size} entries. `
      + { known: "The key is the one this browser has known.", new: "This browser sees the key for the first time and remembers it.",
        changed: "But the log's key is not the one this browser remembers: ask whether it was rotated." }[key];
  } catch (error) {
    said.textContent = error instanceof DOMException && error.name === "NotSupportedError"
      ? "This browser knows no ed25519; check in a terminal:"
      : `Checked in this browser, and it does not hold: ${error.message}.`;
  }
  place.classList.add("banner", state);
  place.dataset.checked = state;
}
