// The door's page: sign in a device, choose a list, scan. Colour, word, sound and vibration say the same.

import { Camera } from "./camera.js";
import * as door from "./door.js";
import * as store from "./store.js";

const $ = (id) => document.getElementById(id);
const words = new Map([...$("words").content.querySelectorAll("data")].map((one) => [one.value, one.textContent]));
const say = (word, values = {}) =>
  Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`%${name}%`, value), words.get(word) ?? word);

const GOOD_MS = 2500;
const EVERY_MS = 20000;
const TONES = { good: [880, 1320], before: [440, 440], bad: [220, 160] };
const KINDS = { in: "good", already_redeemed: "before", incomplete: "before", too_early: "before" };

let list = null;
let camera = null;
let audio = null;
let pending = null; // a scan that waits for answers
let closing = 0;

function show(name) {
  for (const part of document.querySelectorAll("[data-part]")) part.hidden = part.dataset.part !== name;
  document.body.dataset.state = name;
}

function clock(moment) {
  const at = new Date(moment);
  const today = new Date().toDateString() === at.toDateString();
  return at.toLocaleString(document.documentElement.lang, today ? { timeStyle: "short" } : { dateStyle: "short", timeStyle: "short" });
}

// State

async function begin() {
  await door.forgetOld();
  await enrolFromAddress();
  if (!(await store.fact("token"))) return signIn();
  const chosen = await store.fact("list");
  if (chosen && (await store.list(chosen))) return open(chosen);
  return choose();
}

async function enrolFromAddress() {
  const found = location.hash.match(/^#enrol=([A-Za-z0-9_-]{43})$/);
  if (!found) return;
  history.replaceState(null, "", location.pathname);
  await enrol(found[1]);
}

async function enrol(code) {
  try {
    const { status, body } = await door.ask("POST", "/enrolments", { code });
    if (status !== 201) return tellSignIn(say("enrol.gone"));
    await store.setFact("token", body.token);
    await store.setFact("me", body.me);
  } catch {
    return tellSignIn(say("enrol.offline"));
  }
  return undefined;
}

function tellSignIn(text) {
  $("signin-error").textContent = text;
  $("signin-error").hidden = false;
}

function signIn() {
  list = null;
  show("signin");
  status();
}

// The token is none any more: names go, what this door did stays until it is told.
async function signedOut() {
  await store.forgetLists();
  await store.setFact("token");
  await store.setFact("list");
  camera?.stop();
  camera = null;
  closeAnswer();
  tellSignIn(say("signed.out"));
  signIn();
}

async function choose() {
  show("lists");
  const items = $("lists");
  items.replaceChildren();
  let found = [];
  try {
    found = (await door.ask("GET", "/checkin-lists")).body.lists;
  } catch (error) {
    if (error instanceof door.SignedOut) return signedOut();
    found = (await store.lists()).map((each) => each.door);
  }
  $("lists-none").hidden = found.length > 0;
  for (const each of found) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.append(Object.assign(document.createElement("strong"), { textContent: door.titled(each.event_title) }), ` ${each.name}`);
    button.addEventListener("click", () => open(each.id));
    items.append(button);
  }
  if (found.length === 1) await open(found[0].id);
  return status();
}

async function open(id) {
  try {
    list = (await door.refresh(id)) ?? (await store.list(id));
  } catch (error) {
    if (error instanceof door.SignedOut) return signedOut();
    list = await store.list(id);
  }
  if (!list) return show("lists"); // it was forgotten, or there is no network and it was never here
  await store.setFact("list", id);
  show("door");
  $("door-event").textContent = door.titled(list.door.event_title);
  $("door-name").textContent = list.door.name;
  await status();
  return startCamera();
}

async function startCamera() {
  const why = !window.isSecureContext ? "camera.tls" : !navigator.mediaDevices?.getUserMedia ? "camera.none" : null;
  $("camera-off").hidden = !why;
  $("view").hidden = Boolean(why);
  if (why) {
    $("camera-off").textContent = say(why);
    return;
  }
  camera ??= new Camera($("video"), (text) => look(text));
  try {
    await camera.start();
  } catch (error) {
    camera = null;
    $("view").hidden = true;
    $("camera-off").hidden = false;
    $("camera-off").textContent = say(error.name === "NotAllowedError" ? "camera.refused" : "camera.none");
  }
}

async function status() {
  const waiting = (await store.queue()).length;
  $("queue").textContent = waiting ? say("queue.some", { count: waiting }) : say("queue.none");
  $("queue").dataset.waiting = waiting;
  $("network").textContent = navigator.onLine ? "" : say("offline");
  if (list) $("count").textContent = say("count", { inside: list.door.inside, expected: list.door.expected });
}

// One scan

async function look(code) {
  const found = code.match(/#enrol=([A-Za-z0-9_-]{43})$/);
  if (found) return;
  await answer(code);
}

async function answer(code, more = {}) {
  camera?.pause(true);
  clearTimeout(closing);
  const asked = list;
  try {
    const done = await door.scan(asked, code, more);
    if (list !== asked && list?.door.id === asked.door.id) await door.remember(list, done); // a newer list came meanwhile
    shown({ ...done, code });
  } catch (error) {
    if (error instanceof door.SignedOut) return signedOut();
    shown({ result: "failed" });
    throw error;
  }
  return status();
}

function shown(done) {
  const kind = KINDS[done.result] ?? "bad";
  const box = $("answer");
  box.className = kind;
  box.dataset.result = done.result;
  box.dataset.offline = done.offline ? "yes" : "";
  box.hidden = false;
  const where = done.at ? say(done.gate ? "when.where" : "when", { at: clock(done.at), gate: done.gate ?? "" }) : "";
  $("answer-word").textContent = say(`result.${done.result}`, { name: (done.name ?? "").replaceAll(" ", "\u00a0") });
  $("answer-type").textContent = [done.type, done.result === "in" ? "" : done.name].filter(Boolean).join(" · ");
  $("answer-more").textContent = done.result === "in" ? "" : where;
  $("answer-offline").hidden = !done.offline;
  $("answer-undo").hidden = !(done.result === "in" && done.id);
  $("answer-undo").dataset.scan = done.id ?? "";
  questions(done);
  signal(kind);
  if (done.result === "in") closing = setTimeout(closeAnswer, GOOD_MS);
  else if (done.result !== "incomplete") $("answer-next").focus();
}

function questions(done) {
  const form = $("answer-questions");
  form.hidden = done.result !== "incomplete";
  $("answer-next").hidden = done.result === "incomplete";
  pending = done.result === "incomplete" ? done : null;
  const fields = $("answer-fields");
  fields.replaceChildren();
  for (const question of pending?.questions ?? []) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.name = question.id;
    input.type = { yes: "checkbox", number: "number", date: "date" }[question.kind] ?? "text";
    if (question.kind === "number") input.step = "any";
    if (question.kind === "yes") input.value = "yes";
    if (question.kind === "yes") label.append(input, door.titled(question.label));
    else label.append(door.titled(question.label), input);
    fields.append(label);
  }
  if (pending) fields.querySelector("input")?.focus();
}

function closeAnswer() {
  clearTimeout(closing);
  $("answer").hidden = true;
  pending = null;
  camera?.pause(false);
}

function signal(kind) {
  navigator.vibrate?.({ good: 60, before: [80, 60, 80], bad: 400 }[kind]);
  try {
    audio ??= new AudioContext();
    TONES[kind].forEach((pitch, at) => {
      const tone = new OscillatorNode(audio, { frequency: pitch });
      const volume = new GainNode(audio, { gain: 0.2 });
      tone.connect(volume).connect(audio.destination);
      tone.start(audio.currentTime + at * 0.12);
      tone.stop(audio.currentTime + at * 0.12 + 0.1);
    });
  } catch {
    // no sound on this device: colour and word are enough
  }
}

// What happens by itself

let busy = false;

async function keepUp() {
  if (busy || !(await store.fact("token"))) return;
  busy = true;
  try {
    await door.forgetOld();
    if ((await store.queue()).length) {
      const doubts = await door.upload();
      if (doubts) $("network").textContent = say("doubts", { count: doubts });
    }
    if (list) {
      list = (await door.refresh(list.door.id)) ?? (await store.list(list.door.id)) ?? null;
      if (!list) {
        camera?.stop();
        camera = null;
        await store.setFact("list");
        await choose();
      }
    }
  } catch (error) {
    if (error instanceof door.SignedOut) await signedOut();
    else if (!(error instanceof door.NoNetwork)) throw error;
  } finally {
    busy = false;
    await status();
  }
}

$("signin-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const found = $("signin-code").value.trim().match(/([A-Za-z0-9_-]{43})$/);
  if (!found) return tellSignIn(say("enrol.wrong"));
  $("signin-error").hidden = true;
  await enrol(found[1]);
  if (await store.fact("token")) {
    $("signin-code").value = "";
    await choose();
    await keepUp();
  }
  return undefined;
});
$("type-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const code = $("code").value;
  $("code").value = "";
  if (code.trim()) await answer(code);
});
$("answer-questions").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answers = [...new FormData(event.target)].filter(([, value]) => value !== "")
    .map(([question_id, value]) => ({ question_id, value }));
  const { code, nonce } = pending;
  await answer(code, { answers, nonce });
});
$("answer-next").addEventListener("click", closeAnswer);
$("answer-cancel").addEventListener("click", closeAnswer);
$("answer-undo").addEventListener("click", async (event) => {
  const id = event.target.dataset.scan;
  clearTimeout(closing);
  try {
    await door.ask("POST", `/checkin-lists/${list.door.id}/scans/${id}/undo`);
    closeAnswer();
    await keepUp();
  } catch (error) {
    if (error instanceof door.SignedOut) return signedOut();
    $("answer-more").textContent = say("undo.offline");
  }
  return undefined;
});
$("change").addEventListener("click", () => {
  camera?.stop();
  camera = null;
  store.setFact("list").then(choose);
});
window.addEventListener("online", keepUp);
window.addEventListener("offline", status);
window.addEventListener("hashchange", async () => {
  await enrolFromAddress();
  await begin();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") keepUp();
});
setInterval(keepUp, EVERY_MS);

navigator.serviceWorker?.register("/checkin/sw.js", { scope: "/checkin/" }).catch(() => {});
navigator.storage?.persist?.().catch(() => {});
begin().then(keepUp, () => {
  show("signin");
  tellSignIn(say("storage"));
});
