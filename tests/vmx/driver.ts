// A VMM for tests: puts a machine into root operation and holds a VMCS with a guest that enters. Tests change one thing
// and look at what happens. The guest's memory is the machine's own, mapped one to one where EPT is used.

import { decodeEvent, layout, loadCore, Machine, type MachineOptions } from "../../src/machine/index.js";
import type { DecodedEvent, EntryFailure, RawEvent, Stop } from "../../src/machine/index.js";
import {
  controlMask,
  controlWords,
  findPlatform,
  requiredOnes,
  varyPlatform,
  vmcsEncoding,
  vmxCapabilityMsrs,
  vmxControls,
  vmxModels,
} from "../../src/isa/index.js";
import type { Platform, Variation, VmxCapabilities, VmxControlName } from "../../src/isa/index.js";

/** Where the driver puts things; all below the platform's memory. */
export const place = {
  vmxon: 0x10_0000n,
  vmcs: 0x10_1000n,
  ioBitmapA: 0x10_2000n,
  ioBitmapB: 0x10_3000n,
  msrBitmaps: 0x10_4000n,
  msrArea: 0x10_5000n,
  ept: 0x11_0000n,
  hostTables: 0x12_0000n,
  legacyTables: 0x12_8000n,
  guestTables: 0x13_0000n,
  hostIdt: 0x14_0000n,
  guestIdt: 0x14_1000n,
  gdt: 0x14_2000n,
  tss: 0x14_3000n,
  linkedVmcs: 0x14_4000n,
  hostCode: 0x15_0000n,
  hostStack: 0x15_f000n,
  guestCode: 0x20_0000n,
  guestHandlers: 0x21_0000n,
  guestStack: 0x22_0000n,
} as const;

const selectors = { code: 0x08, data: 0x10, tss: 0x18 } as const;
const memoryBytes = 16 * 1024 * 1024;

/** Capabilities with every control that exists, so that every rule of VM entry can be met. */
export const everyControl: VmxCapabilities = {
  ...(vmxModels["skylake"] as VmxCapabilities),
  controls: vmxControls
    .map((c) => c.name)
    .filter((name) => name !== "ENTRY_TO_SMM" && name !== "DEACTIVATE_DUAL_MONITOR_TREATMENT"),
  writeAnyField: false,
  zeroLengthInjection: false,
};

/** The named model with other VMX capabilities, and little memory. */
export function platformWith(name: string, capabilities?: VmxCapabilities): Platform {
  const base = findPlatform(name);
  if (!base) throw new Error(`no platform ${name}`);
  if (!capabilities) return { ...base, memoryBytes };
  const cr4 = base.cpu.msrs.find((m) => m.address === 0x489)?.reset ?? 0n;
  const vmx = vmxCapabilityMsrs(capabilities, { longMode: base.cpu.features.includes("LONG_MODE"), cr4Allowed: cr4 });
  const others = base.cpu.msrs.filter((m) => m.address < 0x480 || m.address > 0x491);
  return { ...base, memoryBytes, cpu: { ...base.cpu, msrs: [...others, ...vmx] } };
}

/** Where the tests run: on the machine itself, or a level deeper (tests/vmm/nested-vmx.test.ts). */
export const bed = {
  isDeeper: false,
  make: (options: MachineOptions): Machine => new Machine(loadCore(), options),
  /** From here on code in memory is the VMM, and the host program does nothing in root operation. */
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

/** A machine in root operation with a VMCS that enters a 64-bit guest. */
export class Vmm {
  readonly machine: Machine;
  readonly capabilities: VmxCapabilities;

  /** `host` "legacy": a host with 32-bit paging and a 32-bit guest, outside IA-32e mode. */
  constructor(
    name = "skylake",
    capabilities?: VmxCapabilities,
    host: "long" | "legacy" = "long",
    variation: Variation = {},
  ) {
    this.capabilities = capabilities ?? (vmxModels[name] as VmxCapabilities);
    const key = JSON.stringify([name, capabilities, variation]);
    const platform = varyPlatform(platformWith(name, capabilities), variation);
    const machine = machines.get(key) ?? bed.make({ platform });
    machines.set(key, machine);
    machine.reset();
    this.machine = machine;
    this.#prepareMemory();
    this.#prepareHost(host === "long");
    machine.writeU32(place.vmxon, this.capabilities.revision);
    machine.writeU32(place.vmcs, this.capabilities.revision);
    machine.vmx.start(place.vmxon);
    machine.vmx.clear(place.vmcs);
    machine.vmx.load(place.vmcs);
    this.#prepareControls();
    this.#prepareHostState();
    this.prepareGuest64();
    if (host === "legacy") this.#prepareLegacy();
  }

  read(field: string): bigint {
    return this.machine.vmx.read(vmcsEncoding(field));
  }

  write(field: string, value: bigint | number): this {
    this.machine.vmx.write(vmcsEncoding(field), BigInt(value));
    return this;
  }

  /** Sets control bits to 1. */
  set(...names: VmxControlName[]): this {
    for (const name of names) this.#changeControl(name, (word, mask) => word | mask);
    return this;
  }

  /** Clears control bits. */
  clear(...names: VmxControlName[]): this {
    for (const name of names) this.#changeControl(name, (word, mask) => word & ~mask);
    return this;
  }

  #changeControl(name: VmxControlName, change: (word: bigint, mask: bigint) => bigint): void {
    const control = vmxControls.find((c) => c.name === name);
    if (!control) throw new Error(`no control ${name}`);
    const field = controlWords[control.word].field;
    this.write(field, BigInt.asUintN(32, change(this.read(field), BigInt(controlMask(name)))));
  }

  /** Puts bytes where the guest starts. */
  code(hex: string): this {
    this.machine.writePhysical(place.guestCode, Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")));
    return this;
  }

  enter(): EntryFailure | undefined {
    return this.machine.vmx.enter();
  }

  /** Enters and runs until the guest exits; the stop is returned, the events are in `events`. */
  run(budget = 1000): Stop {
    const failure = this.enter();
    if (failure) throw new Error(`the entry failed: ${failure.kind} ${failure.number} ${failure.rule ?? ""}`);
    return this.machine.run(budget);
  }

  /** Everything that was recorded since the last call. */
  events(): DecodedEvent[] {
    const list: DecodedEvent[] = [];
    this.machine.drainEvents((raw) => list.push(decoded(raw, "intel")));
    return list;
  }

  /** The last exit. */
  exit(): DecodedEvent {
    const exits = this.events().filter((e) => e.kind === "exit");
    const last = exits[exits.length - 1];
    if (!last) throw new Error("there was no exit");
    return last;
  }

  /** Four-level tables that map the first 1 GiB one to one with 2-MByte pages. */
  #identityTables(at: bigint): void {
    const m = this.machine;
    m.writeU64(at, (at + 0x1000n) | 7n);
    m.writeU64(at + 0x1000n, (at + 0x2000n) | 7n);
    for (let i = 0n; i < 16n; i++) m.writeU64(at + 0x2000n + i * 8n, (i << 21n) | 0xe7n);
  }

  #prepareMemory(): void {
    const m = this.machine;
    this.#identityTables(place.hostTables);
    this.#identityTables(place.guestTables);
    m.writeU64(place.ept, (place.ept + 0x1000n) | 7n);
    m.writeU64(place.ept + 0x1000n, (place.ept + 0x2000n) | 7n);
    for (let i = 0n; i < 8n; i++) m.writeU64(place.ept + 0x2000n + i * 8n, (i << 21n) | 0xb7n);
    m.writeU64(place.gdt + 8n, 0x00af_9b00_0000_ffffn);
    m.writeU64(place.gdt + 16n, 0x00cf_9300_0000_ffffn);
    m.writeU64(place.gdt + 24n, 0x0000_8b14_3000_0067n);
    for (let vector = 0n; vector < 32n; vector++) {
      const handler = place.guestHandlers + vector * 16n;
      const low = (handler & 0xffffn) | (BigInt(selectors.code) << 16n) | (0x8e00n << 32n) | ((handler >> 16n) << 48n);
      m.writeU64(place.guestIdt + vector * 16n, low);
      m.writeU8(handler, 0xf4);
    }
  }

  #prepareHost(long: boolean): void {
    const m = this.machine;
    m.setRegister("CR0", 0x8000_0031n);
    m.setRegister("CR4", 0x2020n);
    m.setRegister("CR3", place.hostTables);
    m.setRegister("EFER", long ? 0x500n : 0n);
    m.setRegister("RIP", place.hostCode);
    m.setRegister("RSP", place.hostStack);
    m.setSegment("CS", { selector: selectors.code, base: 0n, limitBytes: 0xffff_ffff, rights: long ? 0xa09b : 0xc09b });
    for (const name of ["SS", "DS", "ES"] as const) {
      m.setSegment(name, { selector: selectors.data, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc093 });
    }
  }

  /** The least that each word of controls must have. */
  #prepareControls(): void {
    for (const word of ["pin", "primary", "exit", "entry"] as const) {
      this.write(controlWords[word].field, requiredOnes(this.capabilities, word));
    }
    for (const field of ["EXCEPTION_BITMAP", "CR3_TARGET_COUNT", "VM_EXIT_MSR_STORE_COUNT"]) this.write(field, 0);
    for (const field of ["VM_EXIT_MSR_LOAD_COUNT", "VM_ENTRY_MSR_LOAD_COUNT"]) this.write(field, 0);
    this.write("ADDRESS_OF_IO_BITMAP_A", place.ioBitmapA);
    this.write("ADDRESS_OF_IO_BITMAP_B", place.ioBitmapB);
    this.write("ADDRESS_OF_MSR_BITMAPS", place.msrBitmaps);
    this.write("VMCS_LINK_POINTER", 0xffff_ffff_ffff_ffffn);
    this.write("EPT_POINTER", place.ept | 0x1en);
    this.write("VIRTUAL_PROCESSOR_IDENTIFIER", 1);
    this.set("HOST_ADDRESS_SPACE_SIZE", "IA32E_MODE_GUEST");
  }

  #prepareHostState(): void {
    this.write("HOST_CR0", 0x8000_0031n).write("HOST_CR3", place.hostTables).write("HOST_CR4", 0x2020n);
    this.write("HOST_CS_SELECTOR", selectors.code);
    for (const name of ["SS", "DS", "ES", "FS", "GS"]) this.write(`HOST_${name}_SELECTOR`, selectors.data);
    this.write("HOST_TR_SELECTOR", selectors.tss);
    this.write("HOST_TR_BASE", place.tss).write("HOST_GDTR_BASE", place.gdt).write("HOST_IDTR_BASE", place.hostIdt);
    this.write("HOST_RIP", place.hostCode).write("HOST_RSP", place.hostStack);
    this.write("HOST_IA32_PAT", 0x0007_0406_0007_0406n).write("HOST_IA32_EFER", 0x500n);
  }

  /** A guest in 64-bit mode, ring 0, at `place.guestCode`. */
  prepareGuest64(): this {
    this.write("GUEST_CR0", 0x8000_0031n).write("GUEST_CR3", place.guestTables).write("GUEST_CR4", 0x2020n);
    this.write("GUEST_RIP", place.guestCode).write("GUEST_RSP", place.guestStack).write("GUEST_RFLAGS", 2);
    this.#guestSegment("CS", selectors.code, 0xa09b);
    for (const name of ["SS", "DS", "ES", "FS", "GS"]) this.#guestSegment(name, selectors.data, 0xc093);
    this.#guestSegment("LDTR", 0, 0x1_0000);
    this.#guestSegment("TR", selectors.tss, 0x8b);
    this.write("GUEST_TR_LIMIT", 0x67).write("GUEST_TR_BASE", place.tss).write("GUEST_LDTR_LIMIT", 0);
    this.write("GUEST_GDTR_BASE", place.gdt).write("GUEST_GDTR_LIMIT", 0x27);
    this.write("GUEST_IDTR_BASE", place.guestIdt).write("GUEST_IDTR_LIMIT", 0x1ff);
    this.write("GUEST_DR7", 0x400).write("GUEST_ACTIVITY_STATE", 0).write("GUEST_INTERRUPTIBILITY_STATE", 0);
    this.write("GUEST_IA32_PAT", 0x0007_0406_0007_0406n).write("GUEST_IA32_EFER", 0x500n);
    return this;
  }

  /** Host and guest with one table of 4-MByte pages, at the place of the host's tables. */
  #prepareLegacy(): void {
    for (let i = 0n; i < 4n; i++) this.machine.writeU32(place.legacyTables + i * 4n, Number((i << 22n) | 0xe7n));
    this.clear("HOST_ADDRESS_SPACE_SIZE", "IA32E_MODE_GUEST");
    this.machine.setRegister("CR3", place.legacyTables);
    this.machine.setRegister("CR4", 0x2010n);
    this.write("HOST_CR3", place.legacyTables).write("HOST_CR4", 0x2010).write("HOST_IA32_EFER", 0);
    this.write("GUEST_CR3", place.legacyTables).write("GUEST_CR4", 0x2010).write("GUEST_IA32_EFER", 0);
    this.write("GUEST_CS_ACCESS_RIGHTS", 0xc09b);
  }

  #guestSegment(name: string, selector: number, rights: number): void {
    this.write(`GUEST_${name}_SELECTOR`, selector).write(`GUEST_${name}_BASE`, 0);
    this.write(`GUEST_${name}_LIMIT`, 0xffff_ffff).write(`GUEST_${name}_ACCESS_RIGHTS`, rights);
  }

  /** Turns the guest into a virtual-8086 task of a 32-bit guest. */
  prepareGuestV86(): this {
    this.clear("IA32E_MODE_GUEST").write("GUEST_RFLAGS", 0x2_0002).write("GUEST_IA32_EFER", 0).write("GUEST_RIP", 0);
    this.write("GUEST_CR4", 0x2000n);
    for (const name of ["CS", "SS", "DS", "ES", "FS", "GS"]) {
      this.write(`GUEST_${name}_SELECTOR`, 0x1000).write(`GUEST_${name}_BASE`, 0x1_0000);
      this.write(`GUEST_${name}_LIMIT`, 0xffff).write(`GUEST_${name}_ACCESS_RIGHTS`, 0xf3);
    }
    return this;
  }

  /** Turns on EPT with the one-to-one tables. */
  withEpt(): this {
    return this.set("ACTIVATE_SECONDARY_CONTROLS", "ENABLE_EPT");
  }
}

/** An event as the tests look at it; a level hands out decoded ones. */
function decoded(raw: RawEvent, vendor: "intel" | "amd"): DecodedEvent {
  return "decoded" in raw ? (raw.decoded as DecodedEvent) : decodeEvent(raw.copy(), vendor);
}
