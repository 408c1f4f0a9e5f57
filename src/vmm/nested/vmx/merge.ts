// Between the VMCS of a guest's VMM (12), the one that the processor runs the inner guest with (02), and the guest's
// own (01). Intel SDM vol. 3C, "VM Entries", "Loading Guest State"; "VM Exits", "Saving Guest State", "Loading Host
// State".

import {
  cr0Bits,
  cr4Bits,
  eferBits,
  findVmxControl,
  vmcsEncoding,
  vmcsFields,
  type VmxControlName,
} from "../../../isa/index.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import type { ControlValues } from "../../hardware/vmx/controls.js";
import { field, segmentField } from "../../hardware/vmx/vmcs-fields.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import type { Vmcs12 } from "./vmcs12.js";

const named = (...names: readonly string[]): number[] => names.map(vmcsEncoding);
const bit = (name: VmxControlName): number => (1 << (findVmxControl(name)?.bit ?? 0)) >>> 0;
const bits = (...names: readonly VmxControlName[]): number => names.reduce((all, name) => (all | bit(name)) >>> 0, 0);

const patMsr = 0x277;
const link = vmcsEncoding("VMCS_LINK_POINTER");
const pat = vmcsEncoding("GUEST_IA32_PAT");
const timer = vmcsEncoding("VMX_PREEMPTION_TIMER_VALUE");
const exitControls = vmcsEncoding("VM_EXIT_CONTROLS");
const instructionError = vmcsEncoding("VM_INSTRUCTION_ERROR");
const debugFields = [field.dr7, field.debugctl];
const eferField = field.efer;

/** Guest state that goes over as it is, in both directions. */
const special: ReadonlySet<number> = new Set([link, pat, timer, eferField, ...debugFields, ...field.pdptes]);
const plainGuestFields = vmcsFields
  .filter((f) => f.kind === "guest" && !special.has(f.encoding))
  .map((f) => f.encoding);

/** What an exit tells. */
const exitFields = vmcsFields
  .filter((f) => f.kind === "read-only" && f.encoding !== instructionError)
  .map((f) => f.encoding);

/** Controls and parameters of the inner guest's execution that need no merging. */
const ownParameters = named(
  "TSC_OFFSET",
  "VIRTUAL_APIC_ADDRESS",
  "TPR_THRESHOLD",
  "CR3_TARGET_COUNT",
  "CR3_TARGET_VALUE_0",
  "CR3_TARGET_VALUE_1",
  "CR3_TARGET_VALUE_2",
  "CR3_TARGET_VALUE_3",
  "CR0_GUEST_HOST_MASK",
  "CR4_GUEST_HOST_MASK",
  "CR0_READ_SHADOW",
  "CR4_READ_SHADOW",
  "PLE_GAP",
  "PLE_WINDOW",
  "TSC_MULTIPLIER",
  "VM_ENTRY_INTERRUPTION_INFORMATION",
  "VM_ENTRY_EXCEPTION_ERROR_CODE",
  "VM_ENTRY_INSTRUCTION_LENGTH",
);

/** Of this VMM's own controls, those that say nothing about the inner guest. */
const notInherited = {
  primary: bits(
    "CR3_LOAD_EXITING",
    "CR3_STORE_EXITING",
    "CR8_LOAD_EXITING",
    "CR8_STORE_EXITING",
    "MONITOR_TRAP_FLAG",
    "INTERRUPT_WINDOW_EXITING",
    "NMI_WINDOW_EXITING",
    "USE_TPR_SHADOW",
  ),
  secondary: bits("UNRESTRICTED_GUEST", "ENABLE_RDTSCP", "ENABLE_INVPCID", "ENABLE_XSAVES_XRSTORS"),
} as const;

/** The state of the guest that VM entry leaves alone unless a control says otherwise. */
export interface Inherited {
  readonly dr7: bigint;
  readonly debugctl: bigint;
  readonly efer: bigint;
}

/** The execution controls of the inner guest: what either VMM asks for. */
export function mergeControls(own: ControlValues, vmcs12: Vmcs12): ControlValues {
  const ia32e = vmcs12.control("IA32E_MODE_GUEST") ? bit("IA32E_MODE_GUEST") : 0;
  const timerSave = vmcs12.control("ACTIVATE_VMX_PREEMPTION_TIMER") ? bit("SAVE_VMX_PREEMPTION_TIMER_VALUE") : 0;
  // Who has the exits of interrupts says whether they acknowledge.
  const isOwn = (own.pin & bit("EXTERNAL_INTERRUPT_EXITING")) !== 0;
  const acknowledge = bit("ACKNOWLEDGE_INTERRUPT_ON_EXIT");
  const acknowledged = (isOwn ? own.exit : vmcs12.word("exit")) & acknowledge;
  return {
    pin: (own.pin | vmcs12.word("pin")) >>> 0,
    // Bitmaps are always in use, so that unconditional I/O exiting is theirs to express.
    primary: ((own.primary & ~notInherited.primary) | vmcs12.word("primary")) >>> 0,
    secondary: ((own.secondary & ~notInherited.secondary) | vmcs12.word("secondary")) >>> 0,
    exit: ((own.exit & ~acknowledge) | acknowledged | timerSave | bits("EXIT_SAVE_IA32_PAT")) >>> 0,
    entry: ((own.entry & ~bit("IA32E_MODE_GUEST")) | ia32e | bits("ENTRY_LOAD_IA32_PAT")) >>> 0,
  };
}

/** Writes the inner guest's state and parameters into the current VMCS, which is 02. */
export function writeInner(
  { processor, vmx }: { readonly processor: Processor; readonly vmx: VmxOperations },
  vmcs12: Vmcs12,
  inherited: Inherited,
): void {
  for (const encoding of plainGuestFields) vmx.write(encoding, vmcs12.read(encoding));
  for (const encoding of ownParameters) vmx.write(encoding, vmcs12.read(encoding));
  const loadsDebug = vmcs12.control("ENTRY_LOAD_DEBUG_CONTROLS");
  vmx.write(field.dr7, loadsDebug ? vmcs12.read(field.dr7) : inherited.dr7);
  vmx.write(field.debugctl, loadsDebug ? vmcs12.read(field.debugctl) : inherited.debugctl);
  vmx.write(eferField, enteredEfer(vmcs12, inherited.efer));
  vmx.write(timer, vmcs12.read(timer));
  vmx.write(pat, vmcs12.control("ENTRY_LOAD_IA32_PAT") ? vmcs12.read(pat) : (processor.readMsr(patMsr) ?? 0n));
  writePdptes(processor, vmx, vmcs12);
}

function enteredEfer(vmcs12: Vmcs12, old: bigint): bigint {
  if (vmcs12.control("ENTRY_LOAD_IA32_EFER")) return vmcs12.read(eferField);
  const paging = (vmcs12.read(field.cr0) & cr0Bits.PG) !== 0n;
  const changed = paging ? eferBits.LMA | eferBits.LME : eferBits.LMA;
  return (old & ~changed) | (vmcs12.control("IA32E_MODE_GUEST") ? changed : 0n);
}

/** Without EPT of its own VMM the inner guest's entries come from memory; the processor here always uses EPT. */
function writePdptes(processor: Processor, vmx: VmxOperations, vmcs12: Vmcs12): void {
  const table = vmcs12.read(field.cr3) & 0xffff_ffe0n;
  const fromMemory = !vmcs12.control("ENABLE_EPT");
  field.pdptes.forEach((encoding, i) => {
    vmx.write(encoding, fromMemory ? processor.readU64(table + BigInt(8 * i)) : vmcs12.read(encoding));
  });
}

/** Saves the inner guest's state and what the exit tells from the current VMCS, which is 02. */
export function saveInner(vmx: VmxOperations, vmcs12: Vmcs12): void {
  for (const encoding of plainGuestFields) vmcs12.write(encoding, vmx.read(encoding));
  for (const encoding of exitFields) vmcs12.write(encoding, vmx.read(encoding));
  if (vmcs12.control("ENABLE_EPT")) for (const encoding of field.pdptes) vmcs12.write(encoding, vmx.read(encoding));
  if (vmcs12.control("EXIT_SAVE_DEBUG_CONTROLS")) {
    for (const encoding of debugFields) vmcs12.write(encoding, vmx.read(encoding));
  }
  if (vmcs12.control("EXIT_SAVE_IA32_EFER")) vmcs12.write(eferField, vmx.read(eferField));
  if (vmcs12.control("EXIT_SAVE_IA32_PAT")) vmcs12.write(pat, vmx.read(pat));
  if (vmcs12.control("SAVE_VMX_PREEMPTION_TIMER_VALUE")) vmcs12.write(timer, vmx.read(timer));
  const mode = BigInt(bit("IA32E_MODE_GUEST"));
  const entry = vmcs12.read(field.entryControls) & ~mode;
  vmcs12.write(field.entryControls, entry | (vmx.read(field.entryControls) & mode));
  vmcs12.write(field.entryInterruption, vmcs12.read(field.entryInterruption) & 0x7fff_ffffn);
}

const rights = { code64: 0xa09bn, code32: 0xc09bn, data: 0xc093n, tss: 0x8bn, unusable: 0x1_0000n } as const;
const flatLimit = 0xffff_ffffn;
const tableLimit = 0xffffn;
const keptCr0 = cr0Bits.ET | cr0Bits.NW | cr0Bits.CD;
const blockedByNmi = 8n;

/** What of the inner guest survives an exit to its VMM. */
export interface Left {
  readonly cr0: bigint;
  readonly efer: bigint;
  readonly nmi: boolean;
}

const host = (name: string): number => vmcsEncoding(`HOST_${name}`);

/** "Loading Host State": the guest's VMM goes on. The current VMCS is 01. */
export function loadHostState(guest: VmxGuest, processor: Processor, vmcs12: Vmcs12, left: Left): void {
  const { vmx } = guest;
  const at = (name: string): bigint => vmcs12.read(host(name));
  const wide = vmcs12.control("HOST_ADDRESS_SPACE_SIZE");
  const mode = eferBits.LMA | eferBits.LME;
  const loads = vmcs12.control("EXIT_LOAD_IA32_EFER");
  guest.setRegister("EFER", loads ? at("IA32_EFER") : (left.efer & ~mode) | (wide ? mode : 0n));
  guest.setRegister("CR0", (left.cr0 & keptCr0) | (at("CR0") & ~keptCr0));
  guest.setRegister("CR4", wide ? at("CR4") | cr4Bits.PAE : at("CR4") & ~cr4Bits.PCIDE);
  guest.setRegister("CR3", at("CR3"));
  vmx.write(field.dr7, 0x400n);
  vmx.write(field.debugctl, 0n);
  vmx.write(field.sysenterCs, at("IA32_SYSENTER_CS"));
  vmx.write(field.sysenterEsp, at("IA32_SYSENTER_ESP"));
  vmx.write(field.sysenterEip, at("IA32_SYSENTER_EIP"));
  if (vmcs12.control("EXIT_LOAD_IA32_PAT")) processor.writeMsr(patMsr, at("IA32_PAT"));
  loadSegments(vmx, at, wide);
  vmx.write(field.rip, at("RIP"));
  vmx.write(field.rsp, at("RSP"));
  vmx.write(field.rflags, 2n);
  vmx.write(field.interruptibility, left.nmi ? blockedByNmi : 0n);
  vmx.write(field.activity, 0n);
  vmx.write(field.pendingDebug, 0n);
}

function loadSegments(vmx: VmxOperations, at: (name: string) => bigint, wide: boolean): void {
  const put = (
    name: keyof typeof segmentField,
    selector: bigint,
    base: bigint,
    limit: bigint,
    access: bigint,
  ): void => {
    const fields = segmentField[name];
    vmx.write(fields.selector, selector);
    vmx.write(fields.base, base);
    vmx.write(fields.limit, limit);
    vmx.write(fields.rights, access);
  };
  put("CS", at("CS_SELECTOR"), 0n, flatLimit, wide ? rights.code64 : rights.code32);
  for (const name of ["SS", "DS", "ES", "FS", "GS"] as const) {
    const selector = at(`${name}_SELECTOR`);
    const base = name === "FS" || name === "GS" ? at(`${name}_BASE`) : 0n;
    put(name, selector, base, flatLimit, selector === 0n ? rights.unusable : rights.data);
  }
  put("TR", at("TR_SELECTOR"), at("TR_BASE"), 0x67n, rights.tss);
  put("LDTR", 0n, 0n, 0n, rights.unusable);
  for (const name of ["GDTR", "IDTR"] as const) {
    vmx.write(vmcsEncoding(`GUEST_${name}_BASE`), at(`${name}_BASE`));
    vmx.write(vmcsEncoding(`GUEST_${name}_LIMIT`), tableLimit);
  }
}

/** Writes the control words of the inner guest into the current VMCS, which is 02. */
export function writeControls(vmx: VmxOperations, controls: ControlValues): void {
  vmx.write(field.pinControls, BigInt(controls.pin));
  vmx.write(field.primaryControls, BigInt(controls.primary));
  vmx.write(field.secondaryControls, BigInt(controls.secondary));
  vmx.write(exitControls, BigInt(controls.exit));
  vmx.write(field.entryControls, BigInt(controls.entry));
}
