// A VMM for tests of SVM: a machine in host mode that holds a VMCB whose guest enters.

import { decodeEvent, layout, loadCore, Machine, type MachineOptions } from "../../src/machine/index.js";
import type { DecodedEvent, EntryFailure, RawEvent, Stop } from "../../src/machine/index.js";
import { findPlatform, findSvmIntercept, findVmcbField, varyPlatform, vmcbOffset } from "../../src/isa/index.js";
import type { Variation } from "../../src/isa/index.js";

export const place = {
  vmcb: 0x10_0000n,
  hostSave: 0x10_1000n,
  iopm: 0x10_4000n,
  msrpm: 0x10_8000n,
  nested: 0x11_0000n,
  hostTables: 0x12_0000n,
  guestTables: 0x13_0000n,
  idt: 0x14_1000n,
  gdt: 0x14_2000n,
  tss: 0x14_3000n,
  hostCode: 0x15_0000n,
  hostStack: 0x15_f000n,
  operand: 0x18_0000n,
  guestCode: 0x20_0000n,
  handlers: 0x21_0000n,
  guestStack: 0x22_0000n,
} as const;

/** Where the tests run: on the machine itself, or a level deeper (tests/vmm/nested-svm.test.ts). */
export const bed = {
  isDeeper: false,
  make: (options: MachineOptions): Machine => new Machine(loadCore(), options),
  /** From here on code in memory is the VMM, and the host program does nothing in host mode. */
  giveRoot: (machine: Machine): void =>
    machine.view.setUint32(layout.CPU_BASE + layout.cpuLayout.hostOwned.offset, 0, true),
};

/**
 * The title of a test of what a level cannot show, or none: the state block, what waits before the first instruction,
 * what is the host's own.
 */
export function onMachine(title: string): readonly string[] {
  return bed.isDeeper ? [] : [title];
}

const machines = new Map<string, Machine>();

/** An interrupt controller that gives one interrupt and drops its line. */
function withController(machine: Machine): Machine {
  machine.attach({
    name: "controller",
    reset: () => undefined,
    acknowledge() {
      machine.setInterruptLine(false);
      return 0x30;
    },
  });
  return machine;
}

/** Attributes of segments as the VMCB holds them. */
const code64 = 0xa9b;
const data = 0xc93;

/** A machine in host mode with a VMCB whose 64-bit guest enters. */
export class Vmm {
  readonly machine: Machine;

  constructor(name = "zen", variation: Variation = {}) {
    const base = findPlatform(name);
    if (!base) throw new Error(`no platform ${name}`);
    const platform = varyPlatform({ ...base, memoryBytes: 16 * 1024 * 1024 }, variation);
    const key = JSON.stringify([name, variation]);
    const machine = machines.get(key) ?? withController(bed.make({ platform }));
    machines.set(key, machine);
    machine.reset();
    machine.setInterruptLine(false);
    this.machine = machine;
    this.#prepareMemory();
    this.#prepareHost();
    machine.svm.start(place.hostSave);
    this.#prepareVmcb();
  }

  read(field: string): bigint {
    const at = place.vmcb + BigInt(vmcbOffset(field));
    const size = findVmcbField(field)?.sizeBits;
    if (size === 8) return BigInt(this.machine.readU8(at));
    if (size === 16) return BigInt(this.machine.readU16(at));
    return size === 32 ? BigInt(this.machine.readU32(at)) : this.machine.readU64(at);
  }

  write(field: string, value: bigint | number): this {
    const at = place.vmcb + BigInt(vmcbOffset(field));
    const size = findVmcbField(field)?.sizeBits;
    if (size === 8) this.machine.writeU8(at, Number(value));
    else if (size === 16) this.machine.writeU16(at, Number(value));
    else if (size === 32) this.machine.writeU32(at, Number(value));
    else this.machine.writeU64(at, BigInt(value));
    return this;
  }

  /** Sets intercept bits. */
  intercept(...names: string[]): this {
    for (const name of names) this.#changeIntercept(name, (word, bit) => word | bit);
    return this;
  }

  /** Clears intercept bits. */
  pass(...names: string[]): this {
    for (const name of names) this.#changeIntercept(name, (word, bit) => word & ~bit);
    return this;
  }

  #changeIntercept(name: string, change: (word: number, bit: number) => number): void {
    const bit = findSvmIntercept(name);
    if (!bit) throw new Error(`no intercept ${name}`);
    const at = place.vmcb + BigInt(bit.offset);
    this.machine.writeU32(at, change(this.machine.readU32(at), 1 << bit.bit) >>> 0);
  }

  code(hex: string): this {
    this.machine.writePhysical(place.guestCode, Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")));
    return this;
  }

  register(name: string, value: bigint): this {
    if (name === "RAX") return this.write("RAX", value);
    this.machine.setRegister(name, value);
    return this;
  }

  enter(): EntryFailure | undefined {
    return this.machine.svm.enter(place.vmcb);
  }

  run(budget = 1000): Stop {
    const failure = this.enter();
    if (failure) throw new Error(`the entry failed: ${failure.rule ?? ""}`);
    return this.machine.run(budget);
  }

  events(): DecodedEvent[] {
    const list: DecodedEvent[] = [];
    this.machine.drainEvents((raw) => list.push(decoded(raw, "amd")));
    return list;
  }

  /** The last exit. */
  exit(): DecodedEvent {
    const exits = this.events().filter((e) => e.kind === "exit");
    const last = exits[exits.length - 1];
    if (!last) throw new Error("there was no exit");
    return last;
  }

  /** Four-level tables that map the first 16 MiB one to one with 2-MByte pages, open to users. */
  tables(at: bigint): void {
    const m = this.machine;
    m.writeU64(at, (at + 0x1000n) | 7n);
    m.writeU64(at + 0x1000n, (at + 0x2000n) | 7n);
    for (let i = 0n; i < 16n; i++) m.writeU64(at + 0x2000n + i * 8n, (i << 21n) | 0xe7n);
  }

  /** Turns on nested paging with tables that map one to one. */
  withNestedPaging(): this {
    this.tables(place.nested);
    return this.write("NESTED_CTL", 1).write("N_CR3", place.nested).write("G_PAT", 0x0007_0406_0007_0406n);
  }

  #prepareMemory(): void {
    const m = this.machine;
    this.tables(place.hostTables);
    this.tables(place.guestTables);
    m.writeU64(place.gdt + 8n, 0x00af_9b00_0000_ffffn);
    m.writeU64(place.gdt + 16n, 0x00cf_9300_0000_ffffn);
    m.writeU64(place.gdt + 24n, 0x0000_8b14_3000_0067n);
    for (let vector = 0n; vector < 64n; vector++) {
      const handler = place.handlers + vector * 16n;
      m.writeU64(place.idt + vector * 16n, (handler & 0xffffn) | 0x8e00_0008_0000n | ((handler >> 16n) << 48n));
      m.writeU8(handler, 0xf4);
    }
  }

  #prepareHost(): void {
    const m = this.machine;
    m.setRegister("CR0", 0x8000_0031n);
    m.setRegister("CR4", 0x20n);
    m.setRegister("CR3", place.hostTables);
    m.setRegister("EFER", 0x500n);
    m.setRegister("RIP", place.hostCode);
    m.setRegister("RSP", place.hostStack);
    m.setRegister("IDTR.BASE", place.idt);
    m.setRegister("IDTR.LIMIT", 0x3ffn);
    m.setRegister("GDTR.BASE", place.gdt);
    m.setRegister("GDTR.LIMIT", 0x27n);
    m.setRegister("RBX", place.operand);
    m.setSegment("CS", { selector: 8, base: 0n, limitBytes: 0xffff_ffff, rights: 0xa09b });
    m.setSegment("TR", { selector: 0x18, base: place.tss, limitBytes: 0x67, rights: 0x8b });
    m.writeU64(place.tss + 4n, place.hostStack);
    for (const name of ["SS", "DS", "ES"] as const) {
      m.setSegment(name, { selector: 16, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc093 });
    }
  }

  #prepareVmcb(): void {
    this.intercept("VMRUN").write("GUEST_ASID", 1);
    this.write("IOPM_BASE_PA", place.iopm).write("MSRPM_BASE_PA", place.msrpm);
    this.write("EFER", 0x1500n).write("CR0", 0x8000_0031n).write("CR3", place.guestTables).write("CR4", 0x20);
    this.write("RIP", place.guestCode).write("RSP", place.guestStack).write("RFLAGS", 2);
    this.write("DR6", 0xffff_0ff0n).write("DR7", 0x400);
    this.#segment("CS", 8, code64);
    for (const name of ["SS", "DS", "ES", "FS", "GS"]) this.#segment(name, 16, data);
    this.#segment("TR", 0x18, 0x8b);
    this.write("TR_BASE", place.tss).write("TR_LIMIT", 0x67);
    this.write("GDTR_BASE", place.gdt).write("GDTR_LIMIT", 0x27);
    this.write("IDTR_BASE", place.idt).write("IDTR_LIMIT", 0x3ff);
  }

  #segment(name: string, selector: number, attributes: number): void {
    this.write(`${name}_SELECTOR`, selector).write(`${name}_ATTRIB`, attributes);
    this.write(`${name}_LIMIT`, 0xffff_ffff).write(`${name}_BASE`, 0);
  }
}

/** Host mode in the guest's own hands: code at the host's place executes SVM instructions itself. */
export class Host extends Vmm {
  constructor(model?: string) {
    super(model);
    bed.giveRoot(this.machine);
    this.machine.setRegister("CR3", place.hostTables);
    this.machine.setRegister("RAX", place.vmcb);
  }

  execute(hex: string): DecodedEvent[] {
    const m = this.machine;
    m.writePhysical(place.hostCode, Uint8Array.from(Buffer.from(`${hex} f4`.replaceAll(" ", ""), "hex")));
    m.setRegister("RIP", place.hostCode);
    m.view.setUint32(layout.CPU_BASE + layout.cpuLayout.activity.offset, layout.ACTIVITY_ACTIVE, true);
    m.run(1000);
    return this.events().filter((e) => e.kind !== "halt");
  }
}

/** An event as the tests look at it; a level hands out decoded ones. */
function decoded(raw: RawEvent, vendor: "intel" | "amd"): DecodedEvent {
  return "decoded" in raw ? (raw.decoded as DecodedEvent) : decodeEvent(raw.copy(), vendor);
}
