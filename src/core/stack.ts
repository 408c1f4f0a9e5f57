// The stack: pushes and pops of the current stack segment.
// RSP changes only when the access is done, so that a fault leaves it.

import { cpu, SEGMENT_SS } from "./layout.generated";
import { code64, stackMask } from "./state";
import {
  cancelWrite, finishWrite, forRead, forWrite, loadSized, segmentedForRead, segmentedForWrite, storeSized,
} from "./memory"; // prettier-ignore

/** RSP, ESP or SP as the stack's width has it. */
export function stackPointer(): u64 {
  return cpu.rsp & stackMask();
}

/** Writes the part of RSP that the stack's width has. */
export function setStackPointer(value: u64): void {
  const mask = stackMask();
  if (mask == 0xffff) cpu.rsp = (cpu.rsp & ~mask) | (value & mask);
  else cpu.rsp = value & mask;
}

/** Host pointer of bytes at an offset of the stack segment for writing. */
export function stackForWrite(offset: u64, bytes: u32): usize {
  if (code64()) return forWrite(offset, bytes, SEGMENT_SS);
  return segmentedForWrite(SEGMENT_SS, offset & stackMask(), bytes);
}

export function stackForRead(offset: u64, bytes: u32): usize {
  if (code64()) return forRead(offset, bytes, SEGMENT_SS);
  return segmentedForRead(SEGMENT_SS, offset & stackMask(), bytes);
}

/** Pushes; false with an exception pending. */
export function push(value: u64, bytes: u32): bool {
  const top = cpu.rsp - bytes;
  const at = stackForWrite(top, bytes);
  if (at == 0) return false;
  storeSized(at, value, bytes);
  setStackPointer(top);
  finishWrite();
  return true;
}

/** True where `count` pushes of `bytes` bytes can be done; else a fault is pending. Nothing is written. */
export function hasRoom(count: u32, bytes: u32): bool {
  for (let i: u32 = 1; i <= count; i++) {
    const at = stackForWrite(cpu.rsp - i * bytes, bytes);
    cancelWrite();
    if (at == 0) return false;
  }
  return true;
}

let popped: u64 = 0;

/** The value of the last pop. */
// @ts-ignore: decorator
@inline
export function lastPopped(): u64 {
  return popped;
}

/** Pops into `lastPopped()`; false with an exception pending and RSP unchanged. */
export function pop(bytes: u32): bool {
  const at = stackForRead(cpu.rsp, bytes);
  if (at == 0) return false;
  popped = loadSized(at, bytes);
  setStackPointer(cpu.rsp + bytes);
  return true;
}

/** Reads a slot above the top without popping, into `lastPopped()`. */
export function peek(distance: u64, bytes: u32): bool {
  const at = stackForRead(cpu.rsp + distance, bytes);
  if (at == 0) return false;
  popped = loadSized(at, bytes);
  return true;
}
