// SHA-256 of a ticket's 16 bytes. Written out, because without TLS a browser has no crypto.subtle, and a door must
// work all the same. One block is enough: 16 bytes, the padding, the length.

const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
  103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223, 227,
  229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283, 293, 307, 311];
const fraction = (number) => Math.floor((number - Math.floor(number)) * 2 ** 32) >>> 0;
const rounds = primes.map((prime) => fraction(Math.cbrt(prime)));
const start = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const turned = (word, by) => (word >>> by) | (word << (32 - by));

function sha256(bytes) {
  const block = new DataView(new ArrayBuffer(64));
  bytes.forEach((byte, at) => block.setUint8(at, byte));
  block.setUint8(bytes.length, 0x80);
  block.setUint32(60, bytes.length * 8);
  const words = Array.from({ length: 16 }, (_, at) => block.getUint32(at * 4));
  for (let at = 16; at < 64; at += 1) {
    const s0 = turned(words[at - 15], 7) ^ turned(words[at - 15], 18) ^ (words[at - 15] >>> 3);
    const s1 = turned(words[at - 2], 17) ^ turned(words[at - 2], 19) ^ (words[at - 2] >>> 10);
    words.push((words[at - 16] + s0 + words[at - 7] + s1) >>> 0);
  }
  let [a, b, c, d, e, f, g, h] = start;
  for (let at = 0; at < 64; at += 1) {
    const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
    const first = (h + s1 + ((e & f) ^ (~e & g)) + rounds[at] + words[at]) >>> 0;
    const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
    const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) >>> 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) >>> 0, c, b, a, (first + second) >>> 0];
  }
  return [a, b, c, d, e, f, g, h].map((word, at) => ((word + start[at]) >>> 0).toString(16).padStart(8, "0")).join("");
}

// What a list knows of a code; null for what no ticket of this site holds.
export function hashOf(code) {
  const text = code.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9_-]{22}$/.test(text)) return null;
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/") + "==");
  return sha256(Array.from(raw, (letter) => letter.charCodeAt(0)));
}
