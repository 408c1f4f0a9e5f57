// Encodings of the VMCS fields that exits are handled with, looked up once by the manual's names.

import { vmcsEncoding } from "../../../isa/index.js";

export const field = {
  pinControls: vmcsEncoding("PIN_BASED_VM_EXECUTION_CONTROLS"),
  primaryControls: vmcsEncoding("PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  secondaryControls: vmcsEncoding("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  entryControls: vmcsEncoding("VM_ENTRY_CONTROLS"),
  entryInterruption: vmcsEncoding("VM_ENTRY_INTERRUPTION_INFORMATION"),
  entryErrorCode: vmcsEncoding("VM_ENTRY_EXCEPTION_ERROR_CODE"),
  entryInstructionLength: vmcsEncoding("VM_ENTRY_INSTRUCTION_LENGTH"),
  exitReason: vmcsEncoding("EXIT_REASON"),
  exitQualification: vmcsEncoding("EXIT_QUALIFICATION"),
  exitInterruption: vmcsEncoding("VM_EXIT_INTERRUPTION_INFORMATION"),
  exitErrorCode: vmcsEncoding("VM_EXIT_INTERRUPTION_ERROR_CODE"),
  exitInstructionLength: vmcsEncoding("VM_EXIT_INSTRUCTION_LENGTH"),
  exitInstructionInfo: vmcsEncoding("VM_EXIT_INSTRUCTION_INFORMATION"),
  idtVectoring: vmcsEncoding("IDT_VECTORING_INFORMATION"),
  idtVectoringError: vmcsEncoding("IDT_VECTORING_ERROR_CODE"),
  guestPhysical: vmcsEncoding("GUEST_PHYSICAL_ADDRESS"),
  guestLinear: vmcsEncoding("GUEST_LINEAR_ADDRESS"),
  cr0Shadow: vmcsEncoding("CR0_READ_SHADOW"),
  cr4Shadow: vmcsEncoding("CR4_READ_SHADOW"),
  cr0Mask: vmcsEncoding("CR0_GUEST_HOST_MASK"),
  cr4Mask: vmcsEncoding("CR4_GUEST_HOST_MASK"),
  cr0: vmcsEncoding("GUEST_CR0"),
  cr3: vmcsEncoding("GUEST_CR3"),
  cr4: vmcsEncoding("GUEST_CR4"),
  efer: vmcsEncoding("GUEST_IA32_EFER"),
  rip: vmcsEncoding("GUEST_RIP"),
  rsp: vmcsEncoding("GUEST_RSP"),
  rflags: vmcsEncoding("GUEST_RFLAGS"),
  dr7: vmcsEncoding("GUEST_DR7"),
  debugctl: vmcsEncoding("GUEST_IA32_DEBUGCTL"),
  sysenterCs: vmcsEncoding("GUEST_IA32_SYSENTER_CS"),
  sysenterEsp: vmcsEncoding("GUEST_IA32_SYSENTER_ESP"),
  sysenterEip: vmcsEncoding("GUEST_IA32_SYSENTER_EIP"),
  interruptibility: vmcsEncoding("GUEST_INTERRUPTIBILITY_STATE"),
  activity: vmcsEncoding("GUEST_ACTIVITY_STATE"),
  pendingDebug: vmcsEncoding("GUEST_PENDING_DEBUG_EXCEPTIONS"),
  pdptes: [0, 1, 2, 3].map((i) => vmcsEncoding(`GUEST_PDPTE${i}`)),
} as const;

/** MSRs whose guest value the VMCS holds while the VMM runs. */
export const fieldOfMsr: ReadonlyMap<number, number> = new Map([
  [0x174, field.sysenterCs],
  [0x175, field.sysenterEsp],
  [0x176, field.sysenterEip],
  [0x1d9, field.debugctl],
  [0xc000_0080, field.efer],
  [0xc000_0100, vmcsEncoding("GUEST_FS_BASE")],
  [0xc000_0101, vmcsEncoding("GUEST_GS_BASE")],
]);

const segmentFields = (name: string) => ({
  selector: vmcsEncoding(`GUEST_${name}_SELECTOR`),
  base: vmcsEncoding(`GUEST_${name}_BASE`),
  limit: vmcsEncoding(`GUEST_${name}_LIMIT`),
  rights: vmcsEncoding(`GUEST_${name}_ACCESS_RIGHTS`),
});

/** The four fields of each segment register. */
export const segmentField = {
  ES: segmentFields("ES"),
  CS: segmentFields("CS"),
  SS: segmentFields("SS"),
  DS: segmentFields("DS"),
  FS: segmentFields("FS"),
  GS: segmentFields("GS"),
  LDTR: segmentFields("LDTR"),
  TR: segmentFields("TR"),
} as const;
