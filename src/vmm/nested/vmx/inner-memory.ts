// The memory of a guest's guest: which EPT and which VPID the processor runs it with, what becomes of its EPT violations,
// and the features of EPT that this VMM carries out for the guest's VMM: page-modification logging, #VE, EPTP switching.
// Intel SDM vol. 3C, "VMX Support for Address Translation"; "VM Functions"; "Virtualization Exceptions".

import { assert } from "../../../base/index.js";
import { cr0Bits, decodeFields, noRawWords, vmcsEncoding, vmxExitByNumber } from "../../../isa/index.js";
import { gpr } from "../../hardware/exited-guest.js";
import type { VmxSetup } from "../../hardware/vmx/setup.js";
import { field } from "../../hardware/vmx/vmcs-fields.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import type { ExitChange } from "./exit-change.js";
import { LastUsed } from "../last-used.js";
import { MergedEpt, type InnerEpt } from "./merged-ept.js";
import type { Vmcs12 } from "./vmcs12.js";

const place = {
  eptp: vmcsEncoding("EPT_POINTER"),
  vpid: vmcsEncoding("VIRTUAL_PROCESSOR_IDENTIFIER"),
  pmlAddress: vmcsEncoding("PML_ADDRESS"),
  pmlIndex: vmcsEncoding("PML_INDEX"),
  veArea: vmcsEncoding("VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS"),
  eptpIndex: vmcsEncoding("EPTP_INDEX"),
  eptpList: vmcsEncoding("EPTP_LIST_ADDRESS"),
  vmFunctions: vmcsEncoding("VM_FUNCTION_CONTROLS"),
} as const;

/** VPIDs of this VMM: its guest has the first. */
const vpids = { first: 2, last: 0xffff } as const;
const reasons = { violation: 48, pmlFull: 62 } as const;
const nmiUnblocking = 0x1000n;
const blockedByNmi = 8;
const lastLogEntry = 511;
const listEntries = 512;
const virtualization = 20;
const eptpSwitching = 1n;
const linearValid = 0x80n;
/** Offsets in the virtualization-exception information area. */
const ve = { busy: 4n, qualification: 8n, linear: 16n, physical: 24n, eptpIndex: 32n } as const;

export interface InnerMemoryParts {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly setup: VmxSetup;
  readonly policy: VmmPolicy;
  readonly pages: PageAllocator;
}

/** What becomes of an EPT violation: nothing more, an exit of the inner guest, or the end of the run. */
export type Settled = { readonly kind: "settled" | "denied" } | { readonly kind: "exit"; readonly change: ExitChange };

/** Translations of inner guests by one EPT of their VMM: its pointer, 0 for none. */
interface Space {
  pointer: bigint;
  /** What is filled of it; made where it is needed. */
  merged: MergedEpt | undefined;
  /** Under which the processor knows them, and by which VPID their VMM does; 0 where they must not be found again. */
  vpid: number;
  theirVpid: number;
}

const keptSpaces = 4;

export class InnerMemory {
  private readonly spaces = new LastUsed<Space>(keptSpaces, () => ({
    pointer: 0n,
    merged: undefined,
    vpid: vpids.first,
    theirVpid: 0,
  }));
  private lastVpid: number = vpids.first;

  constructor(
    private readonly parts: InnerMemoryParts,
    private readonly guest: VmxGuest,
    /** Whether VM entry takes an EPT pointer. */
    private readonly isEptPointer: (pointer: bigint) => boolean,
  ) {}

  /** Without EPT of its VMM the inner guest has the guest's memory; with it, what both allow. */
  choose(vmcs12: Vmcs12): { readonly eptPointer: bigint; readonly vpid: number } {
    const pointer = vmcs12.control("ENABLE_EPT") ? vmcs12.read(place.eptp) : 0n;
    const space = this.spaces.use(
      (each) => each.pointer === pointer,
      (each) => this.empty(each, pointer),
    );
    const vpid = this.chooseVpid(vmcs12, space);
    if (pointer === 0n) return { eptPointer: this.parts.setup.eptp, vpid };
    return { eptPointer: this.mergedOf(space).pointerFor(pointer), vpid };
  }

  private empty(space: Space, pointer: bigint): void {
    space.pointer = pointer;
    space.merged?.flush();
    space.theirVpid = 0;
  }

  private mergedOf(space: Space): MergedEpt {
    const { processor, pages, policy } = this.parts;
    space.merged ??= new MergedEpt(processor, pages, policy.memory);
    return space.merged;
  }

  /** The tables of the inner guest that runs. */
  private get merged(): MergedEpt {
    const [space] = this.spaces;
    assert(space !== undefined, "an inner guest runs");
    return this.mergedOf(space);
  }

  /** An inner guest without a VPID, with another one than before, or with other tables starts without translations. */
  private chooseVpid(vmcs12: Vmcs12, space: Space): number {
    const theirs = vmcs12.control("ENABLE_VPID") ? vmcs12.read32(place.vpid) : 0;
    const isOther = space.merged?.revalidate() === true || theirs !== space.theirVpid;
    if (theirs === 0 || isOther) space.vpid = this.freshVpid();
    space.theirVpid = theirs;
    return space.vpid;
  }

  private freshVpid(): number {
    this.lastVpid++;
    if (this.lastVpid > vpids.last) {
      this.parts.vmx.invalidateEpt(this.parts.setup.eptp);
      for (const each of this.spaces) each.theirVpid = 0;
      this.lastVpid = vpids.first;
    }
    return this.lastVpid;
  }

  /** The guest's physical address behind one of its guest; undefined where there is none. */
  translate(vmcs12: Vmcs12, address: bigint): bigint | undefined {
    return vmcs12.control("ENABLE_EPT") ? this.merged.translate(this.eptOf(vmcs12), address) : address;
  }

  /** INVEPT, INVVPID, and everything else that drops the inner guests' translations. */
  drop(): void {
    for (const each of this.spaces) this.empty(each, each.pointer);
  }

  private eptOf(vmcs12: Vmcs12): InnerEpt {
    const logs = vmcs12.control("ENABLE_PML");
    return {
      pointer: vmcs12.read(place.eptp),
      modeBased: vmcs12.control("MODE_BASED_EXECUTE_CONTROL_FOR_EPT"),
      log: logs ? (address) => this.log(vmcs12, address) : undefined,
    };
  }

  /** "Page-Modification Logging": the index counts down from 511. */
  private log(vmcs12: Vmcs12, address: bigint): boolean {
    const next = vmcs12.read32(place.pmlIndex);
    if (next > lastLogEntry) return false;
    this.write(vmcs12.read(place.pmlAddress) + BigInt(8 * next), address, 8);
    vmcs12.write32(place.pmlIndex, (next - 1) & 0xffff);
    return true;
  }

  /** Settles an EPT violation of the inner guest, whose VMM has EPT. */
  settle(vmcs12: Vmcs12): Settled {
    const { vmx, setup } = this.parts;
    const physical = vmx.read(field.guestPhysical);
    const found = vmx.read(field.exitQualification);
    const outcome = this.merged.violation(this.eptOf(vmcs12), physical, found);
    switch (outcome.kind) {
      case "denied":
        return { kind: "denied" };
      case "filled":
        vmx.invalidateEpt(setup.eptp);
        this.blockNmiAgain(found);
        return { kind: "settled" };
      case "log-full":
        return { kind: "exit", change: pmlFull(found) };
      case "inner":
        if (!outcome.suppressed && this.raiseVe(vmcs12, outcome.qualification)) return { kind: "settled" };
        return { kind: "exit", change: this.violation(outcome.qualification) };
    }
  }

  /** The IRET that the exit interrupted will lift blocking by NMI itself ("Information about NMI Unblocking Due to IRET"). */
  private blockNmiAgain(qualification: bigint): void {
    const { vmx } = this.parts;
    const isDelivering = vmx.read32(field.idtVectoring) >>> 31 === 1;
    if ((qualification & nmiUnblocking) === 0n || isDelivering) return;
    vmx.write(field.interruptibility, BigInt(vmx.read32(field.interruptibility) | blockedByNmi));
  }

  private violation(qualification: bigint): ExitChange {
    const { vmx } = this.parts;
    const words = {
      ...noRawWords,
      qualification,
      guestPhysical: vmx.read(field.guestPhysical),
      guestLinear: vmx.read(field.guestLinear),
    };
    const fields = decodeFields(vmxExitByNumber(reasons.violation)?.fields ?? [], words);
    return { as: { subject: "EPT_VIOLATION", fields }, fields: [[field.exitQualification, qualification]] };
  }

  /** "Virtualization Exceptions": the inner guest gets #VE in place of an exit; false where it exits. */
  private raiseVe(vmcs12: Vmcs12, qualification: bigint): boolean {
    const { vmx } = this.parts;
    const isDelivering = vmx.read32(field.idtVectoring) >>> 31 === 1;
    const isProtected = (vmx.read(field.cr0) & cr0Bits.PE) !== 0n;
    if (!vmcs12.control("EPT_VIOLATION_VE") || isDelivering || !isProtected) return false;
    const area = vmcs12.read(place.veArea);
    if (this.readU32(area + ve.busy) !== 0) return false;
    this.write(area, BigInt(reasons.violation) | 0xffff_ffff_0000_0000n, 8);
    this.write(area + ve.qualification, qualification & ~nmiUnblocking, 8);
    this.write(area + ve.linear, (qualification & linearValid) !== 0n ? vmx.read(field.guestLinear) : 0n, 8);
    this.write(area + ve.physical, vmx.read(field.guestPhysical), 8);
    this.write(area + ve.eptpIndex, BigInt(vmcs12.read32(place.eptpIndex)), 2);
    this.guest.inject({ vector: virtualization });
    return true;
  }

  /** VMFUNC of the inner guest; false where it exits. "EPTP Switching" is function 0. */
  vmFunction(vmcs12: Vmcs12): boolean {
    const { guest } = this;
    const { processor, vmx } = this.parts;
    const index = guest.general32(gpr.rcx);
    const isSwitch = guest.general32(gpr.rax) === 0 && (vmcs12.read(place.vmFunctions) & eptpSwitching) !== 0n;
    if (!vmcs12.control("ENABLE_VM_FUNCTIONS") || !isSwitch || index >= listEntries) return false;
    const at = vmcs12.read(place.eptpList) + BigInt(8 * index);
    const pointer = this.isMemory(at) ? processor.readU64(at) : ~0n;
    if (!this.isEptPointer(pointer)) return false;
    vmcs12.write(place.eptp, pointer);
    if (vmcs12.control("EPT_VIOLATION_VE")) vmcs12.write32(place.eptpIndex, index);
    const { eptPointer, vpid } = this.choose(vmcs12);
    vmx.write(place.eptp, eptPointer);
    vmx.write(place.vpid, BigInt(vpid));
    guest.emulated("VMFUNC");
    guest.advance();
    return true;
  }

  private isMemory(address: bigint): boolean {
    return address < BigInt(this.parts.processor.platform.memoryBytes);
  }

  private readU32(address: bigint): number {
    return this.isMemory(address) ? this.parts.processor.readU32(address) : 0xffff_ffff;
  }

  /** A structure of the guest's VMM: nothing is written where the guest has no memory. */
  private write(address: bigint, value: bigint, lengthBytes: number): void {
    if (!this.isMemory(address)) return;
    const bytes = Uint8Array.from({ length: lengthBytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
    this.parts.processor.writePhysical(address, bytes);
  }
}

/** The exit comes in place of the violation by which this VMM noticed the write. */
function pmlFull(qualification: bigint): ExitChange {
  return {
    as: { subject: "PML_FULL", fields: {} },
    fields: [
      [field.exitReason, BigInt(reasons.pmlFull)],
      [field.exitQualification, qualification & nmiUnblocking],
      [field.guestLinear, 0n],
      [field.guestPhysical, 0n],
    ],
  };
}
