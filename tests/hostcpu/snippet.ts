// A snippet of ring-3 code with its state before and after: what the host and our machine both run.

/** Where code, data and stack lie; the same in host-runner.c. */
export const place = {
  code: 0x1000_0000,
  data: 0x2000_0000,
  stack: 0x3000_0000,
  pageBytes: 4096,
  codeBytes: 64,
  dataBytes: 256,
  dataOffset: 2048,
  stackTop: 2048,
  stackBytes: 128,
} as const;

/** General registers in the order of their encoding. */
export const registerNames = [
  ...["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"],
  ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"],
] as const;

export interface Snippet {
  readonly bits: 32 | 64;
  /** Each instruction's bytes; INT3 follows. */
  readonly code: readonly Uint8Array[];
  readonly registers: readonly bigint[];
  readonly flags: bigint;
  readonly data: Uint8Array;
}

/** The state in which a snippet ended; vector 255 is a snippet that does not end. */
export interface Outcome {
  readonly registers: readonly bigint[];
  readonly flags: bigint;
  readonly rip: bigint;
  readonly vector: number;
  readonly errorCode: number;
  readonly linear: bigint;
  readonly data: Uint8Array;
  readonly stack: Uint8Array;
}

/** The bytes of a snippet's instructions, joined. */
export function codeBytes(snippet: Snippet): Uint8Array {
  const bytes = new Uint8Array(snippet.code.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of snippet.code) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
