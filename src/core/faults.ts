// Raising exceptions: what an instruction does when it cannot go on. Nothing is delivered here (exceptions.ts does);
// the exception is noted as pending, the instruction returns ABORT, and the run loop takes over.

import {
  cpu, PENDING_EXCEPTION, PENDING_STOP, STOP_PRIVILEGE, STOP_UNSUPPORTED, TYPE_HARDWARE_EXCEPTION,
} from "./layout.generated"; // prettier-ignore
import { ABORT } from "./state";

export const VECTOR_DE: u32 = 0;
export const VECTOR_DB: u32 = 1;
export const VECTOR_NMI: u32 = 2;
export const VECTOR_BP: u32 = 3;
export const VECTOR_OF: u32 = 4;
export const VECTOR_BR: u32 = 5;
export const VECTOR_UD: u32 = 6;
export const VECTOR_NM: u32 = 7;
export const VECTOR_DF: u32 = 8;
export const VECTOR_TS: u32 = 10;
export const VECTOR_NP: u32 = 11;
export const VECTOR_SS: u32 = 12;
export const VECTOR_GP: u32 = 13;
export const VECTOR_PF: u32 = 14;
export const VECTOR_MF: u32 = 16;
export const VECTOR_AC: u32 = 17;
export const VECTOR_MC: u32 = 18;
export const VECTOR_XM: u32 = 19;
export const VECTOR_VE: u32 = 20;
export const VECTOR_SX: u32 = 30;

/** An exception without error code. */
export function raise(vector: u32): u32 {
  cpu.pending = PENDING_EXCEPTION;
  cpu.vector = vector;
  cpu.hasErrorCode = 0;
  cpu.errorCode = 0;
  cpu.eventType = TYPE_HARDWARE_EXCEPTION;
  cpu.debugTrap = 0;
  cpu.rule = 0;
  return ABORT;
}

/** An exception with an error code; EXT is added where the event in progress is external. */
export function raiseCode(vector: u32, errorCode: u32, rule: u32 = 0): u32 {
  raise(vector);
  cpu.hasErrorCode = 1;
  cpu.errorCode = errorCode;
  cpu.rule = rule;
  return ABORT;
}

export function raiseUndefined(rule: u32 = 0): u32 {
  raise(VECTOR_UD);
  cpu.rule = rule;
  return ABORT;
}

/** #GP(0). */
export function raiseProtection(rule: u32 = 0): u32 {
  return raiseCode(VECTOR_GP, 0, rule);
}

/** #PF; CR2 is written when it is delivered, because an intercepted one leaves CR2 alone. */
export function raisePageFault(linear: u64, errorCode: u32): u32 {
  raiseCode(VECTOR_PF, errorCode);
  cpu.faultLinear = linear;
  return ABORT;
}

/** Ends the run: the machine knows the instruction and does not execute it. */
export function stopUnsupported(execute: u32): u32 {
  cpu.pending = PENDING_STOP;
  cpu.stopKind = STOP_UNSUPPORTED;
  cpu.stopDetail = execute;
  return ABORT;
}

/** True when control is about to pass to ring 0, and the host program is the code there (src/machine/ring-zero.ts). */
// @ts-ignore: decorator
@inline
export function entersHost(newCpl: u32): bool {
  return cpu.ring0Hosted != 0 && newCpl == 0 && cpu.cpl != 0;
}

/** Ends the run before a transfer to ring 0 happens: nothing is pushed, no register has changed. */
export function stopBeforeRing0(transfer: u32): u32 {
  cpu.delivering = 0;
  cpu.pending = PENDING_STOP;
  cpu.stopKind = STOP_PRIVILEGE;
  cpu.stopDetail = transfer;
  return ABORT;
}
