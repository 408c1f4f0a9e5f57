// The VM-instruction error numbers: Intel SDM vol. 3, "VM Instruction Error Numbers".

/** What an error number of the VM-instruction error field means; the words are ours. */
export interface VmInstructionError {
  readonly number: number;
  readonly meaning: string;
}

const meanings: Readonly<Record<number, string>> = {
  1: "VMCALL executed in VMX root operation",
  2: "VMCLEAR with an invalid physical address",
  3: "VMCLEAR with the VMXON pointer",
  4: "VMLAUNCH with a VMCS that is not clear",
  5: "VMRESUME with a VMCS that is not launched",
  6: "VMRESUME after VMXOFF and VMXON",
  7: "VM entry with invalid control fields",
  8: "VM entry with invalid host-state fields",
  9: "VMPTRLD with an invalid physical address",
  10: "VMPTRLD with the VMXON pointer",
  11: "VMPTRLD with an incorrect VMCS revision identifier",
  12: "VMREAD or VMWRITE of a component that is not supported",
  13: "VMWRITE to a read-only component",
  15: "VMXON executed in VMX root operation",
  16: "VM entry with an invalid executive-VMCS pointer",
  17: "VM entry with an executive VMCS that is not launched",
  18: "VM entry with an executive-VMCS pointer other than the VMXON pointer",
  19: "VMCALL with a VMCS that is not clear",
  20: "VMCALL with invalid VM-exit control fields",
  22: "VMCALL with an incorrect MSEG revision identifier",
  23: "VMXOFF under dual-monitor treatment of SMIs and SMM",
  24: "VMCALL with invalid SMM-monitor features",
  25: "VM entry with invalid VM-execution control fields in the executive VMCS",
  26: "VM entry with events blocked by MOV SS",
  28: "invalid operand to INVEPT or INVVPID",
};

/** Every error number that the manual defines, ascending. */
export const vmInstructionErrors: readonly VmInstructionError[] = Object.entries(meanings).map(([n, meaning]) => ({
  number: Number(n),
  meaning,
}));

/** What the number means, or undefined where the manual leaves it undefined. */
export function vmInstructionErrorMeaning(number: number): string | undefined {
  return meanings[number];
}
