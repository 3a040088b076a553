// One scan: asked of the server where there is network, decided here where there is none. Nothing is ever dropped: what
// this door did is written down before anybody walks through, and told until the server has it.

import { hashOf } from "./hash.js";
import * as store from "./store.js";

const API = "/api/v1";
const PATIENCE_MS = 2500; // a queue waits: after that the list of this device decides
const AT_ONCE = 100;

export class SignedOut extends Error {}
export class NoNetwork extends Error {}

// An answer of the server, {status, body}. Throws SignedOut, or NoNetwork where there is none in time.
export async function ask(method, path, body, { patienceMs = 15000, headers = {} } = {}) {
  const token = await store.fact("token");
  let answer;
  try {
    answer = await fetch(API + path, {
      method,
      headers: { ...headers, ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(patienceMs),
    });
    const text = await answer.text();
    const said = { status: answer.status, etag: answer.headers.get("ETag"), body: text ? JSON.parse(text) : null };
    if (answer.status === 401 && token) throw new SignedOut();
    if (answer.status >= 500 || answer.status === 429 || (answer.status === 409 && said.body?.code === "busy")) throw new NoNetwork();
    return said;
  } catch (error) {
    if (error instanceof SignedOut) throw error;
    throw new NoNetwork();
  }
}

export function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// What happened at this door: {result, name, type, at, gate, id, questions, scan, offline}.
export async function scan(list, code, { answers = [], nonce = newNonce() } = {}) {
  const hash = hashOf(code);
  if (!hash) return { result: "foreign" };
  const said = { nonce, code_sha256: hash, at: new Date().toISOString(), list_version: list.version, answers };
  try {
    const { status, body } = await ask("POST", `/checkin-lists/${list.door.id}/scans`, said, { patienceMs: PATIENCE_MS });
    return await learned(list, hash, said, status, body);
  } catch (error) {
    if (!(error instanceof NoNetwork)) throw error;
  }
  return alone(list, hash, said);
}

async function learned(list, hash, said, status, body) {
  const known = list.tickets.find((ticket) => ticket.h === hash);
  if (status === 201) {
    if (known) Object.assign(known, { c: body.at, g: body.gate, q: false });
    list.door.inside += 1;
    await store.keepList(list);
    return { result: "in", hash, name: body.name, type: titled(body.type), at: body.at, gate: body.gate, id: body.id };
  }
  if (body?.code === "already_redeemed" && known && !known.c) {
    Object.assign(known, { c: body.redeemed_at, g: body.gate });
    await store.keepList(list);
  }
  const type = known ? titled(list.types[known.t].title) : "";
  return { result: body?.code ?? "failed", name: body?.name ?? "", type, at: body?.redeemed_at ?? body?.opens_at, gate: body?.gate,
    questions: body?.questions, nonce: said.nonce };
}

async function alone(list, hash, said) {
  const known = list.tickets.find((ticket) => ticket.h === hash);
  if (!known) return { result: "unknown_ticket", offline: true };
  const here = { name: known.n, type: titled(list.types[known.t].title), offline: true };
  if (!known.p) return { ...here, result: "unpaid" };
  if (known.c) return { ...here, result: "already_redeemed", at: known.c, gate: known.g };
  if (known.o && Date.parse(known.o) > Date.now()) return { ...here, result: "too_early", at: known.o };
  const given = new Set(said.answers.map((answer) => answer.question_id));
  const asked = known.q ? list.questions.filter((question) =>
    (!question.type_ids.length || question.type_ids.includes(list.types[known.t].id)) && !given.has(question.id)) : [];
  if (asked.some((question) => question.is_required)) return { ...here, result: "incomplete", questions: asked, nonce: said.nonce };
  await store.enqueue({ ...said, list_id: list.door.id });
  const me = await store.fact("me");
  Object.assign(known, { c: said.at, g: me?.name ?? "", q: false });
  list.door.inside += 1;
  await store.keepList(list);
  return { ...here, result: "in", hash, at: said.at };
}

// What a scan told, in a list that was fetched while it was asked.
export async function remember(list, done) {
  const known = list.tickets.find((ticket) => ticket.h === done.hash);
  if (!known || known.c) return;
  Object.assign(known, { c: done.at, g: done.gate ?? (await store.fact("me"))?.name ?? "", q: false });
  list.door.inside += 1;
  await store.keepList(list);
}

// Tell what waits. Returns how many marks contradict what we did; throws SignedOut and NoNetwork.
export async function upload() {
  const waiting = (await store.queue()).sort((one, two) => (one.at < two.at ? -1 : 1));
  let doubts = 0;
  for (const id of new Set(waiting.map((scan) => scan.list_id))) {
    const ours = waiting.filter((scan) => scan.list_id === id);
    for (let from = 0; from < ours.length; from += AT_ONCE) {
      const scans = ours.slice(from, from + AT_ONCE).map(({ list_id, ...scan }) => scan);
      const { status, body } = await ask("POST", `/checkin-lists/${id}/uploads`, { scans });
      if (status !== 200) continue; // kept: whoever looks after the device may still see them
      for (const told of body.scans) {
        if (told.mark) doubts += 1;
        await store.told(told.nonce);
      }
    }
  }
  return doubts;
}

// The newest list from the server, with what this device knows and did not tell yet.
export async function refresh(id) {
  const before = await store.list(id);
  const { status, etag, body } = await ask("GET", `/checkin-lists/${id}`, undefined,
    { headers: before?.etag ? { "If-None-Match": before.etag } : {} });
  if (status === 304) return before;
  if (status !== 200) return null;
  const list = { ...body, etag };
  if (Date.parse(list.door.forget_at) <= Date.now()) {
    await store.forgetList(id);
    return null;
  }
  const mine = new Map((await store.queue()).map((scan) => [scan.code_sha256, scan]));
  for (const ticket of list.tickets) {
    const scan = mine.get(ticket.h);
    if (scan && !ticket.c) Object.assign(ticket, { c: scan.at, g: (await store.fact("me"))?.name ?? "", q: false });
  }
  await store.keepList(list);
  return list;
}

// A device keeps no names longer than it must.
export async function forgetOld() {
  for (const list of await store.lists()) {
    if (Date.parse(list.door.forget_at) <= Date.now()) await store.forgetList(list.door.id);
  }
}

export function titled(texts) {
  return texts[document.documentElement.lang] ?? Object.values(texts)[0] ?? "";
}
