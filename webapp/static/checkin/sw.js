// Keeps this page's files, and nothing else, so that it opens where there is no network. FILES and VERSION stand above.

const CACHE = `checkin-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES.map((path) => new Request(path, { cache: "reload", credentials: "omit" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("checkin-") && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

// The network first, for two seconds: a page that was changed is seen, and a door never waits for a dead one.
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin || url.pathname.startsWith("/api/")) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    try {
      const answer = await fetch(event.request, { signal: AbortSignal.timeout(2000) });
      if (answer.status < 500) return answer;
    } catch {
      // what is kept will do
    }
    return (await cache.match(event.request, { ignoreSearch: event.request.mode === "navigate", ignoreVary: true })) ?? Response.error();
  })());
});
