// Three loops in 32-bit protected mode, as a boot sector that our machine, QEMU and Bochs all run.

import { Assembler, memory } from "./assembler.js";

export interface Loop {
  readonly name: string;
  /** Instructions of one round. */
  readonly instructions: number;
  /** Emits one round, without the count and the branch back. */
  readonly body: (code: Assembler) => void;
}

export const loops: readonly Loop[] = [
  {
    name: "arithmetic",
    instructions: 6,
    body: (code) => {
      code.op(32, "add", "eax", "ecx").op(32, "xor", "edx", "eax").op(32, "shl", "edx", 3).op(32, "sub", "ebx", "edx");
    },
  },
  {
    name: "memory",
    instructions: 6,
    body: (code) => {
      code.op(32, "mov", "eax", memory("esi")).op(32, "add", "eax", "ecx");
      code.op(32, "mov", memory("esi", 4), "eax").op(32, "mov", memory("edi"), "ecx");
    },
  },
  {
    name: "calls",
    instructions: 7,
    body: (code) => {
      code.op(32, "call", "@function");
    },
  },
];

const loadAddress = 0x7c00;
const sectorBytes = 512;

export interface LoopImage {
  readonly sector: Uint8Array;
  /** Where 32-bit code starts, for a machine that needs no boot loader. */
  readonly entry: number;
}

const tablePointer = { kind: "memory", scale: 1, displacement: BigInt(loadAddress + 0x1c0) } as const;

/** A boot sector that runs a loop so many rounds and then ends the machine in the way of each emulator. */
export function loopImage(loop: Loop, rounds: number): LoopImage {
  const code = new Assembler(loadAddress);
  code.op(16, "cli").op(16, "xor", "ax", "ax").op(16, "mov", "ds", "ax");
  code.op(16, "lgdt", tablePointer);
  code.op(16, "mov", "eax", "cr0").op(16, "or", "al", 1).op(16, "mov", "cr0", "eax");
  // A far jump to the 32-bit code segment: opcode EAh, offset, selector.
  code.bytes(0xea, 0x40, 0x7c, 0x08, 0x00);
  const { bytes: start } = code.assemble();

  const main = new Assembler(loadAddress + 0x40);
  main.op(32, "lgdt", tablePointer).op(32, "mov", "eax", 0x10);
  for (const segment of ["ds", "es", "ss"]) main.op(32, "mov", segment, "eax");
  main.op(32, "mov", "esp", 0x7000).op(32, "mov", "esi", 0x9000).op(32, "mov", "edi", 0xa800);
  main.op(32, "mov", "ecx", rounds).label("again");
  loop.body(main);
  main.op(32, "dec", "ecx").op(32, "jnz", "@again");
  // QEMU and our machine end here; Bochs reads the word.
  main.op(32, "mov", "al", 0x10).op(32, "out", 0xf4, "al").op(32, "mov", "dx", 0x8900);
  for (const letter of "Shutdown") main.op(32, "mov", "al", letter.charCodeAt(0)).op(32, "out", "dx", "al");
  main.label("end").op(32, "hlt").op(32, "jmp", "@end");
  main.label("function").op(32, "push", "ebp").op(32, "mov", "ebp", "esp").op(32, "pop", "ebp").op(32, "ret");
  const { bytes: body } = main.assemble();

  const sector = new Uint8Array(sectorBytes);
  sector.set(start);
  sector.set(body, 0x40);
  sector.set(globalTable(), 0x1a0);
  sector.set([0x1f, 0x00, ...little32(loadAddress + 0x1a0)], 0x1c0);
  sector.set([0x55, 0xaa], sectorBytes - 2);
  return { sector, entry: loadAddress + 0x40 };
}

/** Flat code at 08H and flat data at 10H. */
function globalTable(): Uint8Array {
  const table = new DataView(new ArrayBuffer(32));
  table.setBigUint64(8, 0x00cf_9b00_0000_ffffn, true);
  table.setBigUint64(16, 0x00cf_9300_0000_ffffn, true);
  return new Uint8Array(table.buffer);
}

const little32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
