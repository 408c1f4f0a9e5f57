// Why the run loop returned.

import * as layout from "./layout.generated.js";

/** Why `Machine.run` returned; the processor stands between two instructions. */
export type Stop =
  /** A stop point: the instruction there has not executed. */
  | { readonly kind: "point"; readonly index: number }
  /** A VM exit to root operation that the host program owns, performed whole. */
  | { readonly kind: "vm-exit" }
  /** HLT, and nothing on the machine can end it. */
  | { readonly kind: "halted" }
  /** A triple fault, or INIT of the first processor where no firmware takes it. */
  | { readonly kind: "shutdown"; readonly byInit?: true }
  | { readonly kind: "budget-spent" }
  /** The event ring is full: take the events, then run on. */
  | { readonly kind: "events-full" }
  /** The instruction at RIP is known, and this machine does not execute it. */
  | { readonly kind: "unsupported"; readonly what: string }
  /** A device asked for the end with a status (isa-debug-exit and the like). */
  | { readonly kind: "device"; readonly status: number }
  /** A transfer of control to ring 0, whose code the host program is (`Machine.ringZero`); it has not happened. */
  | { readonly kind: "privilege" };

/** A stop from the core's number and detail; `unsupported` says the instruction in words. */
export function decodeStop(kind: number, detail: number, unsupported: () => string): Stop {
  switch (kind) {
    case layout.STOP_POINT:
      return { kind: "point", index: detail };
    case layout.STOP_VM_EXIT:
      return { kind: "vm-exit" };
    case layout.STOP_HALTED:
      return { kind: "halted" };
    case layout.STOP_SHUTDOWN:
      return { kind: "shutdown" };
    case layout.STOP_BUDGET:
      return { kind: "budget-spent" };
    case layout.STOP_EVENTS_FULL:
      return { kind: "events-full" };
    case layout.STOP_DEVICE:
      return { kind: "device", status: detail };
    case layout.STOP_PRIVILEGE:
      return { kind: "privilege" };
    case layout.STOP_UNSUPPORTED:
      return { kind: "unsupported", what: unsupported() };
    default:
      throw new Error(`internal error: unknown stop ${kind}`);
  }
}
