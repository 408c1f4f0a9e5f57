// What a guest is told of VMX: the processor's own capabilities without what this VMM does not virtualize.
// Intel SDM vol. 3D, appendix "VMX Capability Reporting Facility".

import {
  controlWords,
  findVmxControl,
  vmcsFields,
  type CpuModel,
  type VmxControlName,
  type VmxControlWord,
} from "../../../isa/index.js";

/** Controls whose structures the VMM would have to shadow, and does not. */
const withheld: readonly VmxControlName[] = [
  "PROCESS_POSTED_INTERRUPTS",
  "ENABLE_VM_FUNCTIONS",
  "VMCS_SHADOWING",
  "ENABLE_PML",
  "EPT_VIOLATION_VE",
  "MODE_BASED_EXECUTE_CONTROL_FOR_EPT",
  "SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT",
  "ENABLE_XSAVES_XRSTORS",
  "VIRTUALIZE_APIC_ACCESSES",
  "VIRTUALIZE_X2APIC_MODE",
  "APIC_REGISTER_VIRTUALIZATION",
  "VIRTUAL_INTERRUPT_DELIVERY",
];

const eptVpidCap = 0x48c;
/** Accessed and dirty flags for EPT: the merged tables do not carry them back. */
const accessedDirty = 1n << 21n;
const vmfuncMsr = 0x491;

/** Words of controls that a VMCS holds. */
export type VmcsControlWord = Exclude<VmxControlWord, "vmfunc">;

/** A capability MSR as the guest reads it; undefined where the guest has none. */
export function offeredMsr(cpu: CpuModel, address: number): bigint | undefined {
  const value = cpu.msrs.find((msr) => msr.address === address)?.reset;
  if (value === undefined || address === vmfuncMsr) return undefined;
  if (address === eptVpidCap) return value & ~accessedDirty;
  for (const name of withheld) {
    const control = findVmxControl(name);
    if (control === undefined) continue;
    const { msr, trueMsr } = controlWords[control.word];
    if (address === msr || address === trueMsr) return withhold(value, address);
  }
  return value;
}

function withhold(value: bigint, address: number): bigint {
  return withheld.reduce((left, name) => {
    const control = findVmxControl(name);
    if (control === undefined) return left;
    const { msr, trueMsr } = controlWords[control.word];
    return address === msr || address === trueMsr ? left & ~(1n << BigInt(32 + control.bit)) : left;
  }, value);
}

/** Whether the guest may set a control. */
export function offers(cpu: CpuModel, name: VmxControlName): boolean {
  const control = findVmxControl(name);
  if (control === undefined) return false;
  const { msr } = controlWords[control.word];
  const allowed = (offeredMsr(cpu, msr) ?? 0n) >> 32n;
  return ((allowed >> BigInt(control.bit)) & 1n) === 1n;
}

const maskOf = (word: VmcsControlWord): number =>
  withheld.reduce((bits, name) => {
    const control = findVmxControl(name);
    return control?.word === word ? (bits | (1 << control.bit)) >>> 0 : bits;
  }, 0);

/** Bits of each control word that the processor may have and the guest is not told of. */
export const withheldBits: Readonly<Record<VmcsControlWord, number>> = {
  pin: maskOf("pin"),
  primary: maskOf("primary"),
  secondary: maskOf("secondary"),
  exit: maskOf("exit"),
  entry: maskOf("entry"),
};

const fieldsOf = new WeakMap<CpuModel, ReadonlySet<number>>();

/** Encodings for full access of the VMCS fields that the guest has. */
export function offeredFields(cpu: CpuModel): ReadonlySet<number> {
  let known = fieldsOf.get(cpu);
  if (known === undefined) {
    const has = vmcsFields.filter((f) => !f.exists || f.exists.some((name) => offers(cpu, name)));
    known = new Set(has.map((f) => f.encoding));
    fieldsOf.set(cpu, known);
  }
  return known;
}
