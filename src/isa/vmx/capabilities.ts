// What VMX each CPU generation has, and the capability MSRs that follow: Intel SDM vol. 3, appendix "VMX Capability
// Reporting Facility". A control that the core does not carry out is reported by no model, so that VM entry refuses it.

import type { MsrModel } from "../platform.js";
import { controlMask, controlWords, default1, findVmxControl } from "./controls.js";
import type { VmxControlName, VmxControlWord } from "./controls.js";
import { vmcsFields } from "./fields.js";
import type { VmcsField } from "./fields.js";

/** VMX of one CPU generation. */
export interface VmxCapabilities {
  /** VMCS revision identifier, 31 bits. */
  readonly revision: number;
  /** Controls that may be 1, beyond the default1 class. */
  readonly controls: readonly VmxControlName[];
  /** The model has the TRUE capability MSRs: some default1 controls may be 0. */
  readonly trueControls: boolean;
  /** Shift between the time-stamp counter and the VMX-preemption timer. */
  readonly timerShift: number;
  readonly activityStates: readonly ("hlt" | "shutdown" | "wait_for_sipi")[];
  /** VMWRITE may write read-only fields. */
  readonly writeAnyField: boolean;
  /** Software events may be injected with an instruction length of 0. */
  readonly zeroLengthInjection: boolean;
  readonly ept: readonly EptCapability[];
}

export type EptCapability = "execute_only" | "page_2m" | "page_1g" | "accessed_dirty" | "advanced_information";

/** Default1 controls that may be 0 where the TRUE capability MSRs exist. */
const relaxed: Readonly<Partial<Record<VmxControlWord, number>>> = {
  primary: controlMask("CR3_LOAD_EXITING", "CR3_STORE_EXITING"),
  exit: controlMask("EXIT_SAVE_DEBUG_CONTROLS"),
  entry: controlMask("ENTRY_LOAD_DEBUG_CONTROLS"),
};

const yonahControls: readonly VmxControlName[] = [
  "EXTERNAL_INTERRUPT_EXITING", "NMI_EXITING",
  "INTERRUPT_WINDOW_EXITING", "USE_TSC_OFFSETTING", "HLT_EXITING", "INVLPG_EXITING", "MWAIT_EXITING", "RDPMC_EXITING",
  "RDTSC_EXITING", "MOV_DR_EXITING", "UNCONDITIONAL_IO_EXITING", "USE_IO_BITMAPS", "MONITOR_EXITING", "PAUSE_EXITING",
  "ACKNOWLEDGE_INTERRUPT_ON_EXIT",
]; // prettier-ignore

const penrynControls: readonly VmxControlName[] = [
  ...yonahControls,
  "VIRTUAL_NMIS", "NMI_WINDOW_EXITING", "CR8_LOAD_EXITING", "CR8_STORE_EXITING", "USE_TPR_SHADOW", "USE_MSR_BITMAPS",
  "ACTIVATE_SECONDARY_CONTROLS", "VIRTUALIZE_APIC_ACCESSES", "WBINVD_EXITING", "HOST_ADDRESS_SPACE_SIZE",
  "IA32E_MODE_GUEST",
]; // prettier-ignore

const nehalemControls: readonly VmxControlName[] = [
  ...penrynControls,
  "ACTIVATE_VMX_PREEMPTION_TIMER", "SAVE_VMX_PREEMPTION_TIMER_VALUE", "MONITOR_TRAP_FLAG", "ENABLE_EPT", "ENABLE_VPID",
  "DESCRIPTOR_TABLE_EXITING", "ENABLE_RDTSCP", "VIRTUALIZE_X2APIC_MODE", "EXIT_SAVE_IA32_PAT", "EXIT_LOAD_IA32_PAT",
  "EXIT_SAVE_IA32_EFER", "EXIT_LOAD_IA32_EFER", "ENTRY_LOAD_IA32_PAT", "ENTRY_LOAD_IA32_EFER",
  "EXIT_LOAD_IA32_PERF_GLOBAL_CTRL", "ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL",
]; // prettier-ignore

const westmereControls: readonly VmxControlName[] = [...nehalemControls, "UNRESTRICTED_GUEST", "PAUSE_LOOP_EXITING"];

const ivyBridgeControls: readonly VmxControlName[] = [
  ...westmereControls,
  "RDRAND_EXITING", "APIC_REGISTER_VIRTUALIZATION", "VIRTUAL_INTERRUPT_DELIVERY", "PROCESS_POSTED_INTERRUPTS",
]; // prettier-ignore

const haswellControls: readonly VmxControlName[] = [
  ...ivyBridgeControls,
  "ENABLE_INVPCID", "ENABLE_VM_FUNCTIONS", "EPTP_SWITCHING", "VMCS_SHADOWING",
]; // prettier-ignore

const skylakeControls: readonly VmxControlName[] = [
  ...haswellControls,
  "RDSEED_EXITING", "ENABLE_PML", "EPT_VIOLATION_VE", "ENABLE_XSAVES_XRSTORS", "MODE_BASED_EXECUTE_CONTROL_FOR_EPT",
  "USE_TSC_SCALING",
]; // prettier-ignore

/** Controls of real processors that the core does not carry out yet; no model reports them. */
export const vmxNotCarriedOut: ReadonlySet<VmxControlName> = new Set<VmxControlName>([
  "EXIT_LOAD_IA32_PERF_GLOBAL_CTRL", "ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL",
]); // prettier-ignore

const allStates = ["hlt", "shutdown", "wait_for_sipi"] as const;
const nehalemEpt: readonly EptCapability[] = ["execute_only", "page_2m"];
const westmereEpt: readonly EptCapability[] = [...nehalemEpt, "page_1g"];

function generation(
  revision: number,
  controls: readonly VmxControlName[],
  rest: Partial<VmxCapabilities>,
): VmxCapabilities {
  return {
    revision,
    controls: controls.filter((name) => !vmxNotCarriedOut.has(name)),
    trueControls: true,
    timerShift: 5,
    activityStates: allStates,
    writeAnyField: false,
    zeroLengthInjection: false,
    ept: [],
    ...rest,
  };
}

const skylake = generation(0x14, skylakeControls, {
  ept: [...westmereEpt, "accessed_dirty", "advanced_information"],
  writeAnyField: true,
  zeroLengthInjection: true,
});

/** VMX of each Intel model that has it, by the name of the model. Revision identifiers are our own numbers. */
export const vmxModels: Readonly<Record<string, VmxCapabilities>> = {
  yonah: generation(0x05, yonahControls, { trueControls: false, activityStates: ["hlt", "shutdown"] }),
  penryn: generation(0x0d, penrynControls, { trueControls: false }),
  nehalem: generation(0x0e, nehalemControls, { ept: nehalemEpt }),
  westmere: generation(0x0f, westmereControls, { ept: westmereEpt }),
  ivybridge: generation(0x10, ivyBridgeControls, { ept: westmereEpt }),
  haswell: generation(0x12, haswellControls, { ept: [...westmereEpt, "accessed_dirty"], writeAnyField: true }),
  skylake,
  icelake: skylake,
};

/** What the capability MSRs need to know of a model beside its VMX. */
export interface VmxModelContext {
  readonly longMode: boolean;
  /** Bits of CR4 that the model has, VMXE included. */
  readonly cr4Allowed: bigint;
  /** CPU features of the model; a control over an instruction that the model lacks is not reported. All, when absent. */
  readonly features?: readonly string[];
}

/** Controls that are about an instruction, by the feature that brings it. */
const controlFeatures: Readonly<Partial<Record<VmxControlName, string>>> = {
  ENABLE_RDTSCP: "RDTSCP",
  RDRAND_EXITING: "RDRAND",
  RDSEED_EXITING: "RDSEED",
  ENABLE_INVPCID: "INVPCID",
  ENABLE_XSAVES_XRSTORS: "XSAVES",
};

function forModel(capabilities: VmxCapabilities, context: VmxModelContext): VmxCapabilities {
  const { features } = context;
  if (!features) return capabilities;
  const controls = capabilities.controls.filter((name) => {
    const feature = controlFeatures[name];
    return feature === undefined || features.includes(feature);
  });
  return { ...capabilities, controls };
}

/** Mask of the controls of one word that the model lets be 1, the default1 class included. */
export function allowedOnes(capabilities: VmxCapabilities, word: VmxControlWord): number {
  const names = capabilities.controls.filter((name) => findVmxControl(name)?.word === word);
  return (controlMask(...names) | default1[word]) >>> 0;
}

/** Mask of the controls of one word that the model wants to be 1. */
export function requiredOnes(capabilities: VmxCapabilities, word: VmxControlWord): number {
  const mayBeZero = capabilities.trueControls ? (relaxed[word] ?? 0) : 0;
  return (default1[word] & ~mayBeZero) >>> 0;
}

/** True where the model has the field. */
export function hasVmcsField(capabilities: VmxCapabilities, field: VmcsField): boolean {
  return !field.exists || field.exists.some((name) => capabilities.controls.includes(name));
}

const pair = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

/** "Basic VMX Information". */
function basic(capabilities: VmxCapabilities, longMode: boolean): bigint {
  const regionBytes = 4096n << 32n;
  const addresses32 = longMode ? 0n : 1n << 48n;
  const writeBack = 6n << 50n;
  const stringInformation = 1n << 54n;
  const trueMsrs = capabilities.trueControls ? 1n << 55n : 0n;
  return BigInt(capabilities.revision) | regionBytes | addresses32 | writeBack | stringInformation | trueMsrs;
}

/** "Miscellaneous Data". */
function miscellaneous(capabilities: VmxCapabilities): bigint {
  const states = { hlt: 1n << 6n, shutdown: 1n << 7n, wait_for_sipi: 1n << 8n };
  let value = BigInt(capabilities.timerShift) | (4n << 16n);
  for (const state of capabilities.activityStates) value |= states[state];
  if (capabilities.controls.includes("UNRESTRICTED_GUEST")) value |= 1n << 5n;
  if (capabilities.writeAnyField) value |= 1n << 29n;
  if (capabilities.zeroLengthInjection) value |= 1n << 30n;
  return value;
}

/** "VPID and EPT Capabilities". */
function eptVpid(capabilities: VmxCapabilities): bigint {
  const eptBits = { execute_only: 0n, page_2m: 16n, page_1g: 17n, accessed_dirty: 21n, advanced_information: 22n };
  let value = 0n;
  if (capabilities.controls.includes("ENABLE_EPT")) {
    for (const bit of [6n, 8n, 14n, 20n, 25n, 26n]) value |= 1n << bit; // 4 levels, UC, WB, INVEPT and its types
    for (const name of capabilities.ept) value |= 1n << eptBits[name];
  }
  if (capabilities.controls.includes("ENABLE_VPID")) {
    for (const bit of [32n, 40n, 41n, 42n, 43n]) value |= 1n << bit; // INVVPID and its types
  }
  return value;
}

function highestFieldIndex(capabilities: VmxCapabilities): number {
  let highest = 0;
  for (const f of vmcsFields) if (hasVmcsField(capabilities, f)) highest = Math.max(highest, (f.encoding >> 1) & 0x1ff);
  return highest;
}

/** The capability MSRs of a model, all read-only. */
export function vmxCapabilityMsrs(vmx: VmxCapabilities, context: VmxModelContext): readonly MsrModel[] {
  const capabilities = forModel(vmx, context);
  const msrs: MsrModel[] = [];
  const add = (address: number, name: string, reset: bigint) => {
    msrs.push({ address, name, reset, writable: 0n, readOnly: true });
  };
  const word = (name: VmxControlWord, required: number) => pair(required, allowedOnes(capabilities, name));
  const has = (name: VmxControlName) => capabilities.controls.includes(name);
  add(0x480, "IA32_VMX_BASIC", basic(capabilities, context.longMode));
  add(0x481, "IA32_VMX_PINBASED_CTLS", word("pin", default1.pin));
  add(0x482, "IA32_VMX_PROCBASED_CTLS", word("primary", default1.primary));
  add(0x483, "IA32_VMX_EXIT_CTLS", word("exit", default1.exit));
  add(0x484, "IA32_VMX_ENTRY_CTLS", word("entry", default1.entry));
  add(0x485, "IA32_VMX_MISC", miscellaneous(capabilities));
  add(0x486, "IA32_VMX_CR0_FIXED0", 0x8000_0021n);
  add(0x487, "IA32_VMX_CR0_FIXED1", 0xffff_ffffn);
  add(0x488, "IA32_VMX_CR4_FIXED0", 0x2000n);
  add(0x489, "IA32_VMX_CR4_FIXED1", context.cr4Allowed | 0x2000n);
  add(0x48a, "IA32_VMX_VMCS_ENUM", BigInt(highestFieldIndex(capabilities) << 1));
  if (has("ACTIVATE_SECONDARY_CONTROLS")) add(0x48b, "IA32_VMX_PROCBASED_CTLS2", word("secondary", 0));
  if (has("ENABLE_EPT") || has("ENABLE_VPID")) add(0x48c, "IA32_VMX_EPT_VPID_CAP", eptVpid(capabilities));
  if (capabilities.trueControls) {
    add(controlWords.pin.trueMsr, "IA32_VMX_TRUE_PINBASED_CTLS", word("pin", requiredOnes(capabilities, "pin")));
    add(0x48e, "IA32_VMX_TRUE_PROCBASED_CTLS", word("primary", requiredOnes(capabilities, "primary")));
    add(0x48f, "IA32_VMX_TRUE_EXIT_CTLS", word("exit", requiredOnes(capabilities, "exit")));
    add(0x490, "IA32_VMX_TRUE_ENTRY_CTLS", word("entry", requiredOnes(capabilities, "entry")));
  }
  if (has("ENABLE_VM_FUNCTIONS")) add(0x491, "IA32_VMX_VMFUNC", BigInt(allowedOnes(capabilities, "vmfunc")));
  return msrs;
}

/** The capabilities that a list of MSRs describes; undefined without IA32_VMX_BASIC. Inverse of the above. */
export function vmxFieldsOfMsrs(msrs: readonly MsrModel[]): readonly VmcsField[] {
  const value = (address: number) => msrs.find((m) => m.address === address)?.reset ?? 0n;
  const allows = (name: VmxControlName): boolean => {
    const control = findVmxControl(name);
    if (!control) return false;
    const { msr } = controlWords[control.word];
    const shift = control.word === "vmfunc" ? control.bit : 32 + control.bit;
    return ((value(msr) >> BigInt(shift)) & 1n) === 1n;
  };
  return vmcsFields.filter((f) => !f.exists || f.exists.some(allows));
}
