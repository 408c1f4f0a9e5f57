// Byte strings that look like code: prefixes, escapes and the opcodes with many forms are likelier than by chance.

/** A repeatable source of numbers (xorshift32). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

const prefixes = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x48, 0x41, 0x44, 0x4f];
const groups = [0x00, 0x01, 0xae, 0xc7, 0x18, 0x1e, 0xba, 0x20, 0x22];
const crowded = [0xc4, 0xc5, 0xd9, 0xdb, 0xff, 0x90, 0x8f];

/** Fifteen bytes, the most that an instruction can have. */
export function codeLikeBytes(next: () => number): Uint8Array {
  const bytes = new Uint8Array(15);
  for (let i = 0; i < bytes.length; i++) bytes[i] = next() & 255;
  let at = next() % 4 === 0 ? 1 + (next() % 2) : 0;
  for (let i = 0; i < at; i++) bytes[i] = prefixes[next() % prefixes.length] ?? 0;
  const kind = next() % 8;
  if (kind < 3) {
    bytes[at++] = 0x0f;
    if (kind === 0) bytes[at] = (next() & 1) === 0 ? 0x38 : 0x3a;
    if (kind === 1 && next() % 4 === 0) bytes[at] = groups[next() % groups.length] ?? 0;
  } else if (kind === 3) bytes[at] = crowded[next() % crowded.length] ?? 0;
  return bytes;
}
