// Our machine as a side of the comparison: a 64-bit kernel's tables around the same three pages of ring 3, and a stop
// at every interrupt handler, where the frame that the trap pushed tells the state.

import { findPlatform } from "../../src/isa/index.js";
import { loadCore, Machine } from "../../src/machine/index.js";
import type { SegmentState, StartState } from "../../src/program/index.js";
import { codeBytes, place, registerNames, type Outcome, type Snippet } from "./snippet.js";

/** Where the first 2 MiB of memory lie for the kernel: where ring 3 hardly ever looks. */
export const kernelBase = 0xc000_0000n;

/** Physical addresses of the tables, below 2 MiB, and of the three pages. */
const at = {
  pml4: 0x1000,
  pdpt: 0x2000,
  directory: 0x3000,
  kernelDirectory: 0xf000,
  codeTable: 0x4000,
  dataTable: 0x5000,
  stackTable: 0x6000,
  gdt: 0x8000,
  idt: 0x9000,
  handlers: 0xa000,
  tss: 0xb000,
  kernelStackTop: 0xe000,
  code: 0x10_0000,
  data: 0x10_1000,
  stack: 0x10_2000,
} as const;
/** As on Linux, so that nothing differs that a snippet could see. */
const selectors = { kernelCode: 0x08, kernelData: 0x10, code32: 0x23, data: 0x2b, code64: 0x33, tss: 0x40 } as const;
const executeDisable = 1n << 63n;
const budget = 100_000;
const vectors = 32;
/** Exceptions that push an error code. */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** A stop of our machine that is no trap: nothing to compare. */
export class NotExecuted {
  constructor(readonly what: string) {}
}

export class MachineSide {
  readonly machine: Machine;

  constructor(platformName: string) {
    const platform = findPlatform(platformName);
    if (!platform) throw new Error(`no platform ${platformName}`);
    this.machine = new Machine(loadCore(), { platform });
    this.#writeTables();
    this.machine.setPoints(
      Array.from({ length: vectors }, (_, index) => ({
        address: BigInt(at.handlers + index * 16),
        action: "stop" as const,
        index,
      })),
    );
  }

  run(snippet: Snippet): Outcome | NotExecuted {
    const { machine } = this;
    machine.writePhysical(BigInt(at.code), new Uint8Array(place.pageBytes).fill(0xcc));
    machine.writePhysical(BigInt(at.code), codeBytes(snippet));
    machine.writePhysical(BigInt(at.data), new Uint8Array(place.pageBytes));
    machine.writePhysical(BigInt(at.data + place.dataOffset), snippet.data);
    machine.writePhysical(BigInt(at.stack), new Uint8Array(place.pageBytes));
    machine.start(startState(snippet));
    const stop = machine.run(budget);
    machine.drainEvents(() => undefined);
    if (stop.kind === "unsupported") return new NotExecuted(stop.what);
    if (stop.kind === "budget-spent") return this.#outcome(255, 0, 0n);
    if (stop.kind !== "point") throw new Error(`the machine stopped by ${stop.kind}`);
    return this.#afterTrap(stop.index);
  }

  #afterTrap(vector: number): Outcome {
    const { machine } = this;
    const frame = machine.register("RSP") - kernelBase;
    const errorCode = withErrorCode.has(vector) ? Number(machine.readU64(frame)) : 0;
    return this.#outcome(vector, errorCode, frame + (withErrorCode.has(vector) ? 8n : 0n));
  }

  /** State from the frame (RIP, CS, RFLAGS, RSP, SS), or of the processor where there is no frame. */
  #outcome(vector: number, errorCode: number, frame: bigint): Outcome {
    const { machine } = this;
    const registers = registerNames.map((name) => machine.register(name));
    if (frame !== 0n) registers[4] = machine.readU64(frame + 24n);
    return {
      registers,
      flags: frame === 0n ? machine.register("RFLAGS") : machine.readU64(frame + 16n),
      rip: frame === 0n ? machine.register("RIP") : machine.readU64(frame),
      vector,
      errorCode,
      linear: machine.register("CR2"),
      data: machine.readPhysical(BigInt(at.data + place.dataOffset), place.dataBytes),
      stack: machine.readPhysical(BigInt(at.stack + place.stackTop - place.stackBytes / 2), place.stackBytes),
    };
  }

  #writeTables(): void {
    const { machine } = this;
    const entry = (table: number, index: number, value: number, flags = 0n): void =>
      machine.writeU64(BigInt(table + index * 8), BigInt(value) | flags);
    const user = 7;
    entry(at.pml4, 0, at.pdpt | user);
    entry(at.pdpt, 0, at.directory | user);
    // The kernel's 2 MiB, as one supervisor page.
    entry(at.pdpt, 3, at.kernelDirectory | 3);
    entry(at.kernelDirectory, 0, 0x83);
    const tables = [
      [place.code, at.codeTable, at.code],
      [place.data, at.dataTable, at.data],
      [place.stack, at.stackTable, at.stack],
    ] as const;
    for (const [linear, table, physical] of tables) {
      entry(at.directory, linear >>> 21, table | user);
      entry(table, 0, physical | user, physical === at.code ? 0n : executeDisable);
    }
    this.#writeDescriptors();
  }

  #writeDescriptors(): void {
    const { machine } = this;
    const descriptor = (selector: number, value: bigint): void =>
      machine.writeU64(BigInt(at.gdt + (selector & ~7)), value);
    descriptor(selectors.kernelCode, 0x00af_9b00_0000_ffffn);
    descriptor(selectors.kernelData, 0x00cf_9300_0000_ffffn);
    descriptor(selectors.code32, 0x00cf_fb00_0000_ffffn);
    descriptor(selectors.data, 0x00cf_f300_0000_ffffn);
    descriptor(selectors.code64, 0x00af_fb00_0000_ffffn);
    for (let vector = 0; vector < vectors; vector++) {
      const handler = BigInt(at.handlers + vector * 16);
      // INT3 and INTO may be executed in ring 3, so their gates have DPL 3.
      const rights = vector === 3 || vector === 4 ? 0xeen : 0x8en;
      const upper = (kernelBase >> 16n) << 48n;
      const selector = BigInt(selectors.kernelCode) << 16n;
      machine.writeU64(BigInt(at.idt + vector * 16), upper | (rights << 40n) | selector | handler);
    }
    machine.writeU64(BigInt(at.tss + 4), kernelBase + BigInt(at.kernelStackTop));
    // The I/O permission bitmap starts beyond the limit: no port may be used.
    machine.writeU16(BigInt(at.tss + 102), 0x68);
  }
}

function startState(snippet: Snippet): StartState {
  const flat = (selector: number, rights: number): SegmentState => ({
    selector,
    base: 0n,
    limitBytes: 0xffff_ffff,
    rights,
  });
  const data = flat(selectors.data, 0xc0f3);
  return {
    rip: BigInt(place.code),
    rflags: snippet.flags,
    registers: Object.fromEntries(registerNames.map((name, i) => [name, snippet.registers[i] ?? 0n])),
    segments: {
      CS: snippet.bits === 32 ? flat(selectors.code32, 0xc0fb) : flat(selectors.code64, 0xa0fb),
      SS: data,
      DS: data,
      ES: data,
      FS: data,
      GS: data,
    },
    ldtr: { selector: 0, base: 0n, limitBytes: 0, rights: 0 },
    tr: { selector: selectors.tss, base: kernelBase + BigInt(at.tss), limitBytes: 0x67, rights: 0x8b },
    gdtr: { base: kernelBase + BigInt(at.gdt), limitBytes: 0x4f },
    idtr: { base: kernelBase + BigInt(at.idt), limitBytes: vectors * 16 - 1 },
    // PE, MP, ET, NE, WP, AM, PG; PAE and page-size extensions; SCE, LME, LMA, NXE.
    cr0: 0x8005_0033n,
    cr3: BigInt(at.pml4),
    cr4: 0x30n,
    efer: 0xd01n,
    msrs: [],
  };
}
