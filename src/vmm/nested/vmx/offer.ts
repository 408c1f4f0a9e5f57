// What a guest is told of VMX: the processor's own capabilities. Intel SDM vol. 3D, appendix "VMX Capability Reporting
// Facility".

import {
  controlWords,
  findVmxControl,
  vmcsFields,
  type CpuModel,
  type VmxControlName,
  type VmxControlWord,
} from "../../../isa/index.js";

/** Words of controls that a VMCS holds. */
export type VmcsControlWord = Exclude<VmxControlWord, "vmfunc">;

/** A capability MSR as the guest reads it; undefined where the guest has none. */
export function offeredMsr(cpu: CpuModel, address: number): bigint | undefined {
  return cpu.msrs.find((msr) => msr.address === address)?.reset;
}

/** Whether the guest may set a control. */
export function offers(cpu: CpuModel, name: VmxControlName): boolean {
  const control = findVmxControl(name);
  if (control === undefined) return false;
  const value = offeredMsr(cpu, controlWords[control.word].msr) ?? 0n;
  return ((value >> BigInt(control.word === "vmfunc" ? control.bit : 32 + control.bit)) & 1n) === 1n;
}

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
