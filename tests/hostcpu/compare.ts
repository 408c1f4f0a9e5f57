// What must be equal on both sides, how a difference is told, and how a failing snippet is made small.

import { decode, format } from "../../src/codec/index.js";
import { undefinedFlagsOf } from "./generate.js";
import { kernelBase } from "./machine-side.js";
import { codeBytes, place, registerNames, type Outcome, type Snippet } from "./snippet.js";

/** CF PF AF ZF SF TF DF OF NT RF AC ID. */
const comparedFlags = 0x25_4dd5n;
const pageFault = 14;
const endless = 255;
/** Where a kernel lives, an access of ring 3 finds a page or none: the error code's P bit is the kernel's own affair. */
const isKernels = (linear: bigint): boolean =>
  linear >= 0x8000_0000_0000n || (linear >= kernelBase && linear < kernelBase + 0x20_0000n);

/** The differences, a line each; none when the sides agree. */
export function differences(snippet: Snippet, host: Outcome, ours: Outcome): string[] {
  if (host.vector === endless && ours.vector === endless) return [];
  if (isFreeOrder(snippet, host, ours)) return [];
  const lines: string[] = [];
  const say = (what: string, a: bigint | number, b: bigint | number): void => {
    if (BigInt(a) !== BigInt(b)) lines.push(`${what.padEnd(8)} host 0x${a.toString(16)}, ours 0x${b.toString(16)}`);
  };
  say("vector", host.vector, ours.vector);
  if (lines.length === 0) say("error", errorOf(host), errorOf(ours));
  if (host.vector === pageFault && ours.vector === pageFault) say("address", host.linear, ours.linear);
  say("RIP", host.rip, ours.rip);
  const mask = comparedFlags & ~undefinedFlagsOf(snippet.code, snippet.bits);
  say("flags", host.flags & mask, ours.flags & mask);
  registerNames.forEach((name, i) => {
    if (snippet.bits === 64 || i < 8) say(name, host.registers[i] ?? 0n, ours.registers[i] ?? 0n);
  });
  const memory = [
    ["data", host.data, ours.data, place.data + place.dataOffset],
    ["stack", host.stack, ours.stack, place.stack + place.stackTop - place.stackBytes / 2],
  ] as const;
  for (const [what, a, b, base] of memory) {
    const at = a.findIndex((byte, i) => byte !== b[i]);
    if (at >= 0) lines.push(`${what.padEnd(8)} at 0x${(base + at).toString(16)}: host ${a[at]}, ours ${b[at]}`);
  }
  return lines;
}

/** Which of its two operands CMPS reads first is the processor's choice, and with it the fault of two bad ones. */
function isFreeOrder(snippet: Snippet, host: Outcome, ours: Outcome): boolean {
  const at = host.rip - BigInt(place.code);
  const code = codeBytes(snippet);
  if (host.rip !== ours.rip || at >= BigInt(code.length)) return false;
  const decoded = decode(code, Number(at), snippet.bits);
  return decoded.kind === "instruction" && decoded.value.mnemonic.startsWith("cmps");
}

function errorOf(outcome: Outcome): number {
  return outcome.vector === pageFault && isKernels(outcome.linear) ? outcome.errorCode & ~1 : outcome.errorCode;
}

/** A snippet as a person reads it: its instructions, and the state that they start from. */
export function describe(snippet: Snippet): string {
  const lines = [`bits ${snippet.bits}, flags 0x${snippet.flags.toString(16)}`];
  for (const bytes of snippet.code) {
    const decoded = decode(bytes, 0, snippet.bits);
    const text = decoded.kind === "instruction" ? format(decoded.value) : decoded.kind;
    lines.push(`  ${Buffer.from(bytes).toString("hex").padEnd(32)} ${text}`);
  }
  const registers = snippet.registers.flatMap((value, i) =>
    value === 0n ? [] : [`${registerNames[i]}=0x${value.toString(16)}`],
  );
  return [...lines, `  ${registers.join(" ")}`].join("\n");
}

/** Leaves out instructions and registers as long as the snippet still fails. */
export function minimize(snippet: Snippet, fails: (candidate: Snippet) => boolean): Snippet {
  let best = snippet;
  const attempt = (candidate: Snippet): void => {
    if (fails(candidate)) best = candidate;
  };
  for (let i = best.code.length - 1; i >= 0 && best.code.length > 1; i--) {
    attempt({ ...best, code: best.code.filter((_, at) => at !== i) });
  }
  for (let i = 0; i < registerNames.length; i++) {
    attempt({ ...best, registers: best.registers.map((value, at) => (at === i && i !== 4 ? 0n : value)) });
  }
  attempt({ ...best, data: new Uint8Array(place.dataBytes) });
  attempt({ ...best, flags: 0x202n });
  return best;
}
