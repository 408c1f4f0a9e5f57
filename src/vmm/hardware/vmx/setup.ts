// Sets up VMX for one guest: the VMM's structures in its own memory, controls, and the guest's first state.
// Intel SDM vol. 3C, "Virtual Machine Control Structures"; "Checks on VMX Controls", "... on the Guest State Area".

import {
  cr0Bits,
  cr4Bits,
  eferBits,
  featureControlBits,
  vmcsEncoding,
  type VmxControlName,
} from "../../../isa/index.js";
import type { SegmentState, StartState } from "../../../program/index.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, SegmentRegisterName, VmxOperations } from "../../virtualization.js";
import { ioBitmap, ioBitmapBytes, msrBitmap } from "./bitmaps.js";
import { placeOf, VmxControls, type ControlValues } from "./controls.js";
import { buildEpt } from "./ept.js";
import { identityDirectory } from "./guest-registers.js";
import { exceptionBits, interceptControls } from "./intercepts.js";
import { enterRootState, writeHostState } from "./root-state.js";

/** What the VMM keeps of the set-up: controls change while the guest runs, masks decide what a guest reads. */
export interface VmxSetup {
  readonly controls: ControlValues;
  readonly cr0: CrOwnership;
  readonly cr4: CrOwnership;
  readonly unrestricted: boolean;
  /** Pin-based controls that bring interrupts and NMIs to the VMM, as far as the model has them. */
  readonly vectoredEvents: number;
  readonly eptp: bigint;
  /** Physical address of the guest's VMCS. */
  readonly region: bigint;
  /** Physical address of the tables of guests without paging, where the processor needs them. */
  readonly unpagedTable: bigint;
  /** The processor cannot but exit at accesses to CR3. */
  readonly cr3Exits: boolean;
  /** The test asked for accesses to CR3. */
  readonly watchesCr3: boolean;
}

/** Which bits of a control register are the VMM's, and what the hardware must have there. */
export interface CrOwnership {
  /** Bits that the guest may only believe to own: reads come from the shadow, differing writes exit. */
  readonly mask: bigint;
  readonly forced: bigint;
  /** Bits that the baseline policy hides: writes that differ from what the guest sees there are public exits. */
  readonly hidden: bigint;
}

const vmxMsrs = { basic: 0x480, cr0Fixed0: 0x486, cr4Fixed0: 0x488 } as const;
const featureControl = 0x3a;
const revisionMask = 0x7fff_ffffn;
const dr7Reset = 0x400n;
const noLink = 0xffff_ffff_ffff_ffffn;

/** What every guest of this VMM runs with, as far as the model has it. */
const wantedControls: readonly VmxControlName[] = [
  "EXTERNAL_INTERRUPT_EXITING",
  "NMI_EXITING",
  "VIRTUAL_NMIS",
  "USE_IO_BITMAPS",
  "USE_MSR_BITMAPS",
  "ACTIVATE_SECONDARY_CONTROLS",
  "ENABLE_EPT",
  "ENABLE_VPID",
  "UNRESTRICTED_GUEST",
  "ENABLE_RDTSCP",
  "ENABLE_INVPCID",
  "ENABLE_XSAVES_XRSTORS",
  "HOST_ADDRESS_SPACE_SIZE",
  "ACKNOWLEDGE_INTERRUPT_ON_EXIT",
  "EXIT_SAVE_DEBUG_CONTROLS",
  "EXIT_SAVE_IA32_EFER",
  "EXIT_LOAD_IA32_EFER",
  "ENTRY_LOAD_IA32_EFER",
  "ENTRY_LOAD_DEBUG_CONTROLS",
];

/** Controls by which interrupts and NMIs reach the VMM first. */
const vectoredEvents: readonly VmxControlName[] = ["EXTERNAL_INTERRUPT_EXITING", "NMI_EXITING", "VIRTUAL_NMIS"];

export interface VmxSetupInput {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly pages: PageAllocator;
  readonly policy: VmmPolicy;
  readonly start: StartState;
}

/**
 * Leaves the processor in VMX root operation with a current VMCS that is ready for VMLAUNCH. The processor holds the
 * image's start state before: general registers and MSRs that entries do not load are the guest's already.
 */
export function setUpVmx(input: VmxSetupInput): VmxSetup {
  const { processor, vmx, policy, start } = input;
  const capabilities = new VmxControls((address) => processor.readMsr(address));
  const wanted = new Set([...wantedControls, ...interceptControls(policy)]);
  if (policy.passThrough) for (const name of vectoredEvents) wanted.delete(name);
  if (!capabilities.allows("ENABLE_EPT")) wanted.add("INVLPG_EXITING");
  if ((start.efer & eferBits.LMA) !== 0n) wanted.add("IA32E_MODE_GUEST");
  const controls = capabilities.values(wanted);
  const unrestricted = capabilities.allows("UNRESTRICTED_GUEST");
  const free = unrestricted ? cr0Bits.PE | cr0Bits.PG : 0n;
  const cr0 = ownership(processor.readMsr(vmxMsrs.cr0Fixed0) ?? 0n, free, cr0Bits.NE);
  const cr4 = ownership(cr4Bits.VMXE, 0n, cr4Bits.VMXE | cr4Bits.SMXE);
  const region = takeUpVmx(input);
  const put = (name: string, value: bigint): void => vmx.write(vmcsEncoding(name), value);
  writeControls(input, controls, put);
  const hasEpt = capabilities.allows("ENABLE_EPT");
  const unpagedTable = unrestricted || !hasEpt ? 0n : writeUnpagedTable(input);
  const eptp = hasEpt ? writeEpt(input, put, unpagedTable) : 0n;
  writeHostState(processor, (field, value) => vmx.write(field, value));
  writeGuestState(start, put);
  const watchesCr3 = policy.intercepts.includes("CR_ACCESS");
  const cr3Exits = capabilities.requires("CR3_LOAD_EXITING");
  const vectored = vectoredEvents.filter((name) => capabilities.allows(name));
  const vectoredBits = vectored.reduce((bits, name) => bits | placeOf(name).mask, 0);
  const setup = {
    controls,
    cr0,
    cr4,
    unrestricted,
    vectoredEvents: vectoredBits,
    eptp,
    region,
    unpagedTable,
    watchesCr3,
    cr3Exits,
  };
  writeControlRegisters(setup, put, start, policy);
  return setup;
}

function ownership(required: bigint, relaxed: bigint, hidden: bigint): CrOwnership {
  const forced = required & ~relaxed;
  return { mask: forced | hidden, forced, hidden };
}

/** VMXON, VMCLEAR, VMPTRLD on regions that carry the revision identifier. */
function takeUpVmx({ processor, vmx, pages }: VmxSetupInput): bigint {
  const tables = BigInt(pages.take());
  const region = BigInt(pages.take());
  const vmcs = BigInt(pages.take());
  // Firmware that left the choice open leaves it to the VMM: VMXON wants the MSR locked.
  const control = processor.readMsr(featureControl) ?? 0n;
  if (!(control & featureControlBits.LOCK))
    processor.writeMsr(featureControl, featureControlBits.LOCK | featureControlBits.VMX);
  const revision = Number((processor.readMsr(vmxMsrs.basic) ?? 0n) & revisionMask);
  enterRootState(processor, tables);
  processor.writeU32(region, revision);
  processor.writeU32(vmcs, revision);
  vmx.start(region);
  vmx.clear(vmcs);
  vmx.load(vmcs);
  return vmcs;
}

function writeControls(
  { processor, pages, policy }: VmxSetupInput,
  controls: ControlValues,
  put: (name: string, value: bigint) => void,
): void {
  put("PIN_BASED_VM_EXECUTION_CONTROLS", BigInt(controls.pin));
  put("PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", BigInt(controls.primary));
  put("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", BigInt(controls.secondary));
  put("VM_EXIT_CONTROLS", BigInt(controls.exit));
  put("VM_ENTRY_CONTROLS", BigInt(controls.entry));
  put("EXCEPTION_BITMAP", BigInt(exceptionBits(policy)));
  const io = pages.take(ioBitmapBytes / 0x1000);
  processor.writePhysical(BigInt(io), ioBitmap(policy));
  put("ADDRESS_OF_IO_BITMAP_A", BigInt(io));
  put("ADDRESS_OF_IO_BITMAP_B", BigInt(io + 0x1000));
  const msrs = BigInt(pages.take());
  processor.writePhysical(msrs, msrBitmap(policy));
  put("ADDRESS_OF_MSR_BITMAPS", msrs);
  put("VIRTUAL_PROCESSOR_IDENTIFIER", 1n);
  put("VMCS_LINK_POINTER", noLink);
}

function writeUnpagedTable({ processor, pages }: VmxSetupInput): bigint {
  const table = BigInt(pages.take());
  processor.writePhysical(table, identityDirectory());
  return table;
}

/** The guest's paging must be able to read the tables that the VMM lends it; nothing else of the VMM's is mapped. */
function writeEpt(
  { processor, pages, policy }: VmxSetupInput,
  put: (name: string, value: bigint) => void,
  lent: bigint,
): bigint {
  const eptp = buildEpt(processor, pages, policy.memory, lent === 0n ? [] : [Number(lent)]);
  put("EPT_POINTER", eptp);
  return eptp;
}

/** The guest's state as the image says it; what it does not say is as after reset. */
function writeGuestState(start: StartState, put: (name: string, value: bigint) => void): void {
  for (const [name, segment] of Object.entries(start.segments)) writeSegment(name as SegmentRegisterName, segment, put);
  writeSegment("LDTR", start.ldtr, put);
  writeSegment("TR", start.tr.rights === 0 ? resetTss : { ...start.tr, rights: start.tr.rights | busyTss }, put);
  put("GUEST_GDTR_BASE", start.gdtr.base);
  put("GUEST_GDTR_LIMIT", BigInt(start.gdtr.limitBytes));
  put("GUEST_IDTR_BASE", start.idtr.base);
  put("GUEST_IDTR_LIMIT", BigInt(start.idtr.limitBytes));
  put("GUEST_CR3", start.cr3);
  put("GUEST_IA32_EFER", start.efer);
  put("GUEST_RFLAGS", start.rflags | 2n);
  put("GUEST_RIP", start.rip);
  put("GUEST_RSP", start.registers["RSP"] ?? 0n);
  put("GUEST_DR7", dr7Reset);
  for (const { address, value } of start.msrs) {
    const field = guestMsrFields.get(address);
    if (field !== undefined) put(field, value);
  }
}

/** MSRs of the start state that VM entry loads from the VMCS; all others are in the processor already. */
const guestMsrFields: ReadonlyMap<number, string> = new Map([
  [0x174, "GUEST_IA32_SYSENTER_CS"],
  [0x175, "GUEST_IA32_SYSENTER_ESP"],
  [0x176, "GUEST_IA32_SYSENTER_EIP"],
  [0x1d9, "GUEST_IA32_DEBUGCTL"],
  [0xc000_0100, "GUEST_FS_BASE"],
  [0xc000_0101, "GUEST_GS_BASE"],
]);

/** TR of a guest that starts without a task, as after reset: VM entry wants one. */
const resetTss: SegmentState = { selector: 0, base: 0n, limitBytes: 0xffff, rights: 0x8b };
const accessed = 1;
const busyTss = 2;
const codeOrData = 0x10;
const unusable = 0x1_0000;

/** Segments in use are accessed, as a load would leave them; entry checks that. */
function writeSegment(
  name: SegmentRegisterName,
  { selector, base, limitBytes, rights }: SegmentState,
  put: (field: string, value: bigint) => void,
): void {
  const used = (rights & codeOrData) !== 0 ? rights | accessed : rights;
  put(`GUEST_${name}_SELECTOR`, BigInt(selector));
  put(`GUEST_${name}_BASE`, base);
  put(`GUEST_${name}_LIMIT`, BigInt(limitBytes >>> 0));
  put(`GUEST_${name}_ACCESS_RIGHTS`, BigInt(rights === 0 ? unusable : used));
}

/** `intercept CR_ACCESS` owns every bit, so that any write that changes something exits. */
function writeControlRegisters(
  setup: VmxSetup,
  put: (name: string, value: bigint) => void,
  start: StartState,
  policy: VmmPolicy,
): void {
  const all = policy.intercepts.includes("CR_ACCESS") ? 0xffff_ffffn : 0n;
  put("CR0_GUEST_HOST_MASK", setup.cr0.mask | all);
  put("CR4_GUEST_HOST_MASK", setup.cr4.mask | all);
  put("GUEST_CR0", start.cr0 | setup.cr0.forced);
  put("GUEST_CR4", start.cr4 | setup.cr4.forced);
  put("CR0_READ_SHADOW", start.cr0);
  put("CR4_READ_SHADOW", start.cr4);
}
