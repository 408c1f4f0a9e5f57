// An instruction that exited without telling what it is, or how long: the VMM decodes the guest's bytes itself.

import { decode, type Decoded } from "../../codec/index.js";
import type { ExitedGuest } from "./exited-guest.js";

const longestInstruction = 15;

/** Length of the instruction at the guest's RIP; undefined where its bytes cannot be read or decoded. */
export function instructionLength(guest: ExitedGuest): number | undefined {
  return decodeAtRip(guest)?.length;
}

/** The instruction at the guest's RIP; undefined where its bytes cannot be read or decoded. */
export function decodeAtRip(guest: ExitedGuest): Extract<Decoded, { kind: "instruction" }> | undefined {
  const bytes = new Uint8Array(longestInstruction);
  const start = guest.segment("CS").base + guest.rip;
  let count = 0;
  while (count < longestInstruction) {
    const physical = guest.translate(start + BigInt(count));
    if (physical === undefined) break;
    const inPage = Math.min(longestInstruction - count, 0x1000 - Number(physical & 0xfffn));
    bytes.set(guest.readPhysical(physical, inPage), count);
    count += inPage;
  }
  const decoded = decode(bytes.subarray(0, count), 0, guest.codeBits, guest.rip);
  return decoded.kind === "instruction" ? decoded : undefined;
}
