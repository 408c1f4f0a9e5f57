// Where everything lies in memory, the same on every machine: tables that a case may change, its code, data and stack,
// and the kernel that runs one case after the other.

/** Tables of a case: reset before each case and compared after it. */
export const tables = {
  start: 0x2000,
  end: 0xe000,
  gdt: 0x2000,
  gdtBytes: 0x400,
  ldt: 0x2400,
  ldtBytes: 0x100,
  /** The 32-bit TSS of the kernel, with its I/O permission bitmap behind it. */
  tss: 0x2800,
  tssBytes: 0x280,
  /** Tasks to switch to, of 32 and of 16 bits, and the one that handles double faults. */
  task32: 0x2b00,
  task16: 0x2c00,
  taskDoubleFault: 0x2d00,
  idt32: 0x3000,
  idt64: 0x4000,
  tss64: 0x5000,
  /** 32-bit paging. */
  directory32: 0x6000,
  table32: 0x7000,
  /** PAE and 4-level paging share their two lowest levels. */
  pdptPae: 0x8000,
  directory: 0x9000,
  table: 0xa000,
  pml4: 0xb000,
  pdpt: 0xc000,
  /** The frame of all levels of a walk under test. */
  walk: 0xd000,
} as const;

/** Memory of a case; what lies between `compared` and `end` is cleared and not looked at. */
export const room = {
  start: 0x1_0000,
  code: 0x1_0000,
  data: 0x1_1000,
  stack: 0x1_3000,
  stackTop: 0x1_3800,
  innerStack: 0x1_5000,
  innerStackTop: 0x1_6000,
  compared: 0x1_8000,
  end: 0x2_3000,
} as const;

/** Vectors with a gate. */
export const gates = 64;

export const kernel = {
  /** Low memory that real mode reaches: vectors, 16-bit code, the record of the case that ended, the case to run. */
  low: 0x600,
  common16: 0x600,
  enter16: 0x800,
  record: 0xa00,
  stubs16: 0xc00,
  current: 0x1400,
  lowEnd: 0x1400,
  start: 0x10_0000,
  main: 0x10_1000,
  finish: 0x10_1800,
  common32: 0x10_2000,
  doubleFault: 0x10_2400,
  enter64: 0x10_2800,
  common64: 0x10_2c00,
  stubs32: 0x10_3000,
  stubs64: 0x10_3400,
  gdt: 0x10_3800,
  stackTop: 0x10_5000,
  /** Number of the case, and where the kernel goes on after one. */
  number: 0x10_5000,
  next: 0x10_5004,
  lowCopy: 0x10_6000,
  templates: 0x10_8000,
  shadow: 0x12_0000,
  cases: 0x14_0000,
} as const;

/** Selectors of the GDT that the kernel needs; a case leaves these descriptors alone. */
export const selector = {
  code32: 0x08,
  data: 0x10,
  code64: 0x18,
  code16: 0x20,
  data16: 0x28,
  tss: 0x30,
  tss64: 0x38,
  taskDoubleFault: 0x48,
  task32: 0x50,
  task16: 0x58,
  ldt: 0x60,
  /** Ring 0 to 3 of flat code and data, and 16-bit segments around the case's own memory. */
  userCode32: 0x73,
  userData: 0x7b,
  userCode64: 0x83,
  userCode16: 0x8b,
  userData16: 0x93,
  userStack16: 0x9b,
  room16: 0xa0,
  data16Room: 0xa8,
  stack16Room: 0xb0,
  /** The first selector whose descriptor belongs to the case. */
  free: 0xc0,
} as const;

/** Fields of a case in the image. */
export const caseBytes = 1024;
export const field = {
  mode: 0,
  cr0: 4,
  cr4: 8,
  efer: 0xc,
  cr3: 0x10,
  dr7: 0x14,
  dr0: 0x18,
  registers: 0x28,
  /** RIP, CS, RFLAGS, RSP, SS: eight bytes each. */
  frame: 0xa8,
  /** ES, DS, FS, GS: four bytes each. */
  segments: 0xd0,
  /** Address, value of eight bytes. */
  msrCount: 0xe0,
  msrs: 0xe4,
  patchCount: 0x158,
  patches: 0x15c,
} as const;
export const msrBytes = 12;
export const mostMsrs = 9;
export const patchBytes = 16;

export const modes = { legacy: 0, real: 1, long: 2, bigReal: 3 } as const;

/** Fields of the record: eight bytes each. */
export const recordFields = [
  ...["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
  ...["rip", "cs", "rflags", "ss", "ds", "es", "fs", "gs", "vector", "error", "cr0", "cr2", "cr4", "dr6", "tr", "ldtr"],
] as const;
export type RecordField = (typeof recordFields)[number];
export const recordBytes = recordFields.length * 8;
/** Where a field of the record lies. */
export const recordAt = (name: RecordField): number => kernel.record + recordFields.indexOf(name) * 8;

/** What comes over the serial port for each case: a mark, the case's number, the record, the changed doublewords. */
export const mark = 0xa5;
export const changesLimit = 200;
