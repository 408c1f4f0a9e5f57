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
  TSS: 0x48,
} as const;
