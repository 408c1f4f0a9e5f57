// Where a guest's parts lie, and its selectors: docs/decisions/0005-memory-map.md as data. Constants of the language
// (`GDT.TSS`), layout and the page tables all read it here.

/** Physical address of the first guest's slot. */
export const firstSlot = 0x10_0000n;

/** Distance between the slots of guests, in order of declaration. */
export const slotBytes = 0x100_0000n;

/** Physical address of the slot of guest number `index`, counted from 0. */
export function slotAddress(index: number): bigint {
  return firstSlot + BigInt(index) * slotBytes;
}

/** Offsets in a slot. Stacks grow down from theirs. */
export const slotOffsets = {
  code: 0x00_0000n,
  data: 0x08_0000n,
  scaffold: 0x10_0000n,
  gdt: 0x14_0000n,
  idt: 0x14_1000n,
  tss: 0x14_2000n,
  ring0Stack: 0x16_0000n,
  ring3Stack: 0x17_0000n,
  tssStack: 0x18_0000n,
  defaultHandlers: 0x1f_0000n,
  pageTables: 0x20_0000n,
} as const;

/** Selectors of every guest's GDT, with the RPL of the ring they serve. The order suits SYSCALL and SYSRET. */
export const selectors = {
  CODE64: 0x08,
  DATA: 0x10,
  CODE32_RING3: 0x1b,
  DATA_RING3: 0x23,
  CODE64_RING3: 0x2b,
  CODE32: 0x30,
  CODE16: 0x38,
  DATA16: 0x40,
  /** Takes two entries in 64-bit mode. */
  TSS: 0x48,
  CODE16_RING3: 0x5b,
  DATA16_RING3: 0x63,
} as const;

/** Offset of the last byte of every guest's GDT. */
export const gdtLimitBytes = 0x67;

/** Sizes of a slot's parts. A stack's part lies below its offset, all others begin there. */
export const slotPartBytes = {
  code: 0x08_0000,
  data: 0x08_0000,
  scaffold: 0x04_0000,
  gdt: 0x1000,
  idt: 0x1000,
  tss: 0x3000,
  ring0Stack: 0x1_0000,
  ring3Stack: 0x1_0000,
  tssStack: 0x1_0000,
  defaultHandlers: 0x1000,
  pageTables: 0x20_0000,
} as const satisfies Record<keyof typeof slotOffsets, number>;

/**
 * Physical addresses for a guest in a 16-bit mode, which keeps code, data and stacks where 16-bit offsets reach, with
 * segment bases of 0; its tables stay in its slot. A test has room for one such guest.
 */
export const lowAddresses = {
  /** Real mode only: where the default vectors point, one byte apart. */
  defaultHandlers: 0x0500n,
  code: 0x1000n,
  data: 0x4000n,
  ring0Stack: 0x8000n,
  ring3Stack: 0x6800n,
  tssStack: 0x7000n,
} as const;

/** Sizes of the parts of `lowAddresses`. */
export const lowPartBytes = {
  defaultHandlers: 0x100,
  code: 0x3000,
  data: 0x2000,
  ring0Stack: 0x1000,
  ring3Stack: 0x800,
  tssStack: 0x800,
} as const satisfies Record<keyof typeof lowAddresses, number>;

/** Bytes between the stops of two default handlers, real mode excepted. */
export const defaultHandlerStep = 16;

/** Offset of the I/O permission bitmap in the TSS, 32- and 64-bit alike. */
export const tssIoMapOffset = 0x68;

/** TSS, bitmap of all 65536 ports, and the closing byte of ones (Intel SDM vol. 1, "I/O Permission Bit Map"). */
export const tssLimitBytes = tssIoMapOffset + 0x2000;
