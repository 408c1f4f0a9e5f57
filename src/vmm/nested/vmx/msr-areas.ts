// The MSR areas of a guest's VMM, walked by this VMM for it: none of its own MSRs is among them.
// Intel SDM vol. 3C, "VM Entries", "Loading MSRs"; "VM Exits", "Saving MSRs", "Loading MSRs".

import { eferBits } from "../../../isa/index.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { Processor } from "../../virtualization.js";

const entryBytes = 16n;
const fsBase = 0xc000_0100;
const gsBase = 0xc000_0101;
const efer = 0xc000_0080;
const smBase = 0x9e;
const onlyInSmm: readonly number[] = [0x9b, smBase, 0x79];
const mode = eferBits.LME | eferBits.LMA;

/** An entry of a load area that cannot be loaded: its number from 1, and the rule. */
export interface AreaFailure {
  readonly entry: number;
  readonly rule: string;
}

/** Loads the MSRs of an area into the guest that is current. */
export function loadArea(guest: VmxGuest, memory: Processor, at: bigint, count: number): AreaFailure | undefined {
  for (let i = 0; i < count; i++) {
    const place = at + BigInt(i) * entryBytes;
    if (!guest.isMemory(place)) return { entry: i + 1, rule: "msr_load.reserved" };
    const first = memory.readU64(place);
    const address = Number(first & 0xffff_ffffn);
    const rule = forbidden(address, first >> 32n) ?? load(guest, address, memory.readU64(place + 8n));
    if (rule !== undefined) return { entry: i + 1, rule };
  }
  return undefined;
}

function forbidden(address: number, reserved: bigint): string | undefined {
  if (address === fsBase || address === gsBase) return "msr_load.base";
  if (address >>> 8 === 8) return "msr_load.x2apic";
  if (onlyInSmm.includes(address)) return "msr_load.smm";
  return reserved === 0n ? undefined : "msr_load.reserved";
}

function load(guest: VmxGuest, address: number, value: bigint): string | undefined {
  if (address === efer && ((value ^ guest.readMsr(address)) & mode) !== 0n) return "msr_load.value";
  return guest.wrmsr(address, value) ? undefined : "msr_load.value";
}

/** Stores the MSRs of an area; false where one cannot be read. */
export function storeArea(guest: VmxGuest, memory: Processor, at: bigint, count: number): boolean {
  for (let i = 0; i < count; i++) {
    const place = at + BigInt(i) * entryBytes;
    if (!guest.isMemory(place)) return false;
    const first = memory.readU64(place);
    const address = Number(first & 0xffff_ffffn);
    if (address >>> 8 === 8 || address === smBase || first >> 32n !== 0n) return false;
    if (!guest.platform.cpu.msrs.some((msr) => msr.address === address)) return false;
    memory.writeU64(place + 8n, guest.readMsr(address));
  }
  return true;
}
