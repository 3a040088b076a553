// What this device keeps: its token, the guest lists, and scans that were not told yet. In IndexedDB, so that a phone
// that was switched off in between still has it.

const NAME = "checkin";

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("facts");
      request.result.createObjectStore("lists", { keyPath: "door.id" });
      request.result.createObjectStore("queue", { keyPath: "nonce" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

let database = null;

// Resolves when the transaction is committed, with the result of *work*'s request.
async function inside(store, mode, work) {
  database ??= await opened();
  return new Promise((done, failed) => {
    const transaction = database.transaction(store, mode);
    const request = work(transaction.objectStore(store));
    transaction.oncomplete = () => done(request?.result);
    transaction.onabort = transaction.onerror = () => failed(transaction.error);
  });
}

export const fact = (name) => inside("facts", "readonly", (store) => store.get(name));
export const setFact = (name, value) =>
  inside("facts", "readwrite", (store) => (value === undefined ? store.delete(name) : store.put(value, name)));

export const lists = () => inside("lists", "readonly", (store) => store.getAll());
export const list = (id) => inside("lists", "readonly", (store) => store.get(id));
export const keepList = (value) => inside("lists", "readwrite", (store) => store.put(value));
export const forgetList = (id) => inside("lists", "readwrite", (store) => store.delete(id));
export const forgetLists = () => inside("lists", "readwrite", (store) => store.clear());

// Written before anybody is let in by it, and removed only when the server has it.
export const queue = () => inside("queue", "readonly", (store) => store.getAll());
export const enqueue = (scan) => inside("queue", "readwrite", (store) => store.put(scan));
export const told = (nonce) => inside("queue", "readwrite", (store) => store.delete(nonce));
