// What happens to an access that the declared memory policy denies: skip, fault or stop.

import { cr0Bits, pageFaultBits } from "../../isa/index.js";
import type { VmmStop } from "../bundled.js";
import type { MemoryPolicy } from "../policy.js";
import type { ExitedGuest } from "./exited-guest.js";
import { instructionLength } from "./instruction-length.js";

/** An access of the guest that nested translation refused. */
export interface RefusedAccess {
  readonly guestPhysical: bigint;
  /** Undefined where the access has no linear address. */
  readonly linear: bigint | undefined;
  readonly access: "read" | "write" | "execute";
}

/** Carries out the rule's `denied` action; gives the stop where the guest ends. */
export function denyMemory(guest: ExitedGuest, rule: MemoryPolicy, refused: RefusedAccess): VmmStop | undefined {
  switch (rule.denied) {
    case "stop":
      return { kind: "stopped" };
    case "fault":
      injectMemoryFault(guest, refused);
      return undefined;
    case "skip":
      return skipInstruction(guest);
  }
}

/** A guest with paging gets the page fault of a protected page; one without gets #GP(0), having no page faults. */
function injectMemoryFault(guest: ExitedGuest, refused: RefusedAccess): void {
  if ((guest.register("CR0") & cr0Bits.PG) === 0n || refused.linear === undefined) {
    guest.inject({ vector: 13, errorCode: 0 });
    return;
  }
  const user = (guest.segment("SS").rights & 0x60) === 0x60 ? pageFaultBits.U : 0n;
  const kind = { read: 0n, write: pageFaultBits.W, execute: pageFaultBits.I }[refused.access];
  guest.inject({ vector: 14, errorCode: Number(pageFaultBits.P | user | kind), cr2: refused.linear });
}

/** Goes on behind the instruction. The exit does not tell its length, so the VMM decodes it. */
function skipInstruction(guest: ExitedGuest): VmmStop | undefined {
  const length = instructionLength(guest);
  if (length === undefined) return { kind: "refused", why: "the instruction to be skipped cannot be decoded" };
  guest.advance(length);
  return undefined;
}
