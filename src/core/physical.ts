// The memory bus: RAM with its page flags, and devices. The one door for writes stands here: it puts pages on the
// dirty list, from which a reset undoes them, and drops decoded code that a write changes.

import {
  AFTER_END_TRACE, CODE_CHUNKS_BASE, cpu, DIRTY_PAGES_BASE, PAGE_CODE, PAGE_DEVICE, PAGE_DIRTY, PAGE_FLAGS_BASE,
  RAM_BASE,
} from "./layout.generated"; // prettier-ignore
import { memoryRead, memoryWrite } from "./host";
import { dropTraces } from "./trace";

// @ts-ignore: decorator
@inline
export function pageFlags(page: u32): u32 {
  return load<u8>(PAGE_FLAGS_BASE + page);
}

// @ts-ignore: decorator
@inline
export function setPageFlags(page: u32, flags: u32): void {
  store<u8>(PAGE_FLAGS_BASE + page, <u8>flags);
}

/** True when the physical address lies in RAM that no device has taken. */
export function isRam(address: u64): bool {
  const page = address >> 12;
  return page < <u64>cpu.ramPages && (pageFlags(<u32>page) & PAGE_DEVICE) == 0;
}

/** Host pointer of a byte of RAM. */
// @ts-ignore: decorator
@inline
export function ramPointer(address: u64): usize {
  return RAM_BASE + <usize>address;
}

/** The one door: to be called before bytes of one page of RAM change. */
export function beforeWrite(address: u64, bytes: u32): void {
  const page = <u32>(address >> 12);
  const flags = pageFlags(page);
  if ((flags & PAGE_DIRTY) == 0) {
    setPageFlags(page, flags | PAGE_DIRTY);
    store<u32>(DIRTY_PAGES_BASE + (cpu.dirtyCount << 2), page);
    cpu.dirtyCount++;
  }
  if ((flags & PAGE_CODE) != 0) codeWritten(page, (<u32>address) & 0xfff, bytes);
}

/** Decoded code that lies in a written range is dropped; the trace in progress ends after its instruction. */
function codeWritten(page: u32, offset: u32, bytes: u32): void {
  const first = offset >> 6;
  const last = (offset + bytes - 1) >> 6;
  const chunks = load<u64>(CODE_CHUNKS_BASE + (page << 3));
  const written = (u64.MAX_VALUE << first) & (u64.MAX_VALUE >> (63 - last));
  if ((chunks & written) == 0) return;
  dropTraces(page, offset, bytes);
  cpu.afterWrite |= AFTER_END_TRACE;
}

/** Reads up to 8 bytes that do not cross a page; nobody answers: all ones. */
export function physicalRead(address: u64, bytes: u32): u64 {
  if (isRam(address)) {
    const at = ramPointer(address);
    if (bytes == 8) return load<u64>(at);
    if (bytes == 4) return load<u32>(at);
    if (bytes == 2) return load<u16>(at);
    if (bytes == 1) return load<u8>(at);
    let value: u64 = 0;
    for (let i: u32 = 0; i < bytes; i++) value |= (<u64>load<u8>(at + i)) << (i << 3);
    return value;
  }
  const all = u64.MAX_VALUE >> (64 - (bytes << 3));
  return address > 0xffffffff ? all : memoryRead(<u32>address, bytes) & all;
}

/** Writes up to 8 bytes that do not cross a page. */
export function physicalWrite(address: u64, value: u64, bytes: u32): void {
  if (!isRam(address)) {
    if (address <= 0xffffffff) memoryWrite(<u32>address, value, bytes);
    return;
  }
  beforeWrite(address, bytes);
  const at = ramPointer(address);
  if (bytes == 8) store<u64>(at, value);
  else if (bytes == 4) store<u32>(at, <u32>value);
  else if (bytes == 2) store<u16>(at, <u16>value);
  else if (bytes == 1) store<u8>(at, <u8>value);
  else for (let i: u32 = 0; i < bytes; i++) store<u8>(at + i, <u8>(value >> (i << 3)));
}

/** For the host: a range of any length is about to be written. */
export function prepareHostWrite(address: u32, bytes: u32): void {
  let at: u64 = address;
  const end: u64 = <u64>address + bytes;
  while (at < end) {
    const next = min<u64>(end, (at & ~0xfff) + 0x1000);
    beforeWrite(at, <u32>(next - at));
    at = next;
  }
}
