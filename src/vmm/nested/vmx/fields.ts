// Which fields of a VMCS go where when a guest's guest is entered and exits. Intel SDM vol. 3C, "VM Entries", "Loading
// Guest State"; "VM Exits", "Saving Guest State".

import { fieldList, vmcsEncoding, vmcsFields, type CpuModel, type FieldList } from "../../../isa/index.js";
import { field } from "../../hardware/vmx/vmcs-fields.js";
import { offeredFields } from "./offer.js";

const named = (...names: readonly string[]): number[] => names.map(vmcsEncoding);

/** Guest state that goes over only where a control says so, and what is never the inner guest's own. */
const conditional: ReadonlySet<number> = new Set([
  vmcsEncoding("VMCS_LINK_POINTER"),
  vmcsEncoding("GUEST_IA32_PAT"),
  vmcsEncoding("VMX_PREEMPTION_TIMER_VALUE"),
  // Page-modification logging is carried out by this VMM.
  vmcsEncoding("PML_INDEX"),
  field.efer,
  field.dr7,
  field.debugctl,
  ...field.pdptes,
]);

/** Guest state that goes over as it is, in both directions. */
const plainGuest = vmcsFields.filter((f) => f.kind === "guest" && !conditional.has(f.encoding)).map((f) => f.encoding);

/** What every exit tells. */
const exitInformation = vmcsFields
  .filter((f) => f.kind === "read-only" && f.name !== "VM_INSTRUCTION_ERROR" && f.name !== "GUEST_PHYSICAL_ADDRESS")
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
  "APIC_ACCESS_ADDRESS",
  "EOI_EXIT_BITMAP_0",
  "EOI_EXIT_BITMAP_1",
  "EOI_EXIT_BITMAP_2",
  "EOI_EXIT_BITMAP_3",
  "POSTED_INTERRUPT_NOTIFICATION_VECTOR",
  "POSTED_INTERRUPT_DESCRIPTOR_ADDRESS",
  "XSS_EXITING_BITMAP",
  "ENCLS_EXITING_BITMAP",
  "VMREAD_BITMAP_ADDRESS",
  "VMWRITE_BITMAP_ADDRESS",
  "TSC_MULTIPLIER",
  "VM_ENTRY_INTERRUPTION_INFORMATION",
  "VM_ENTRY_EXCEPTION_ERROR_CODE",
  "VM_ENTRY_INSTRUCTION_LENGTH",
  "VMX_PREEMPTION_TIMER_VALUE",
);

/** Addresses of pages that the processor itself reads or writes for the inner guest. */
export const pageFields = named(
  "VIRTUAL_APIC_ADDRESS",
  "APIC_ACCESS_ADDRESS",
  "POSTED_INTERRUPT_DESCRIPTOR_ADDRESS",
  "VMREAD_BITMAP_ADDRESS",
  "VMWRITE_BITMAP_ADDRESS",
);

/** What 02 has of both VMMs, of this one alone, or of 12 under a condition. */
const decided = [
  ...named(
    "PIN_BASED_VM_EXECUTION_CONTROLS",
    "PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS",
    "SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS",
    "VM_EXIT_CONTROLS",
    "VM_ENTRY_CONTROLS",
    "EXCEPTION_BITMAP",
    "PAGE_FAULT_ERROR_CODE_MASK",
    "PAGE_FAULT_ERROR_CODE_MATCH",
    "ADDRESS_OF_IO_BITMAP_A",
    "ADDRESS_OF_IO_BITMAP_B",
    "ADDRESS_OF_MSR_BITMAPS",
    "EPT_POINTER",
    "VIRTUAL_PROCESSOR_IDENTIFIER",
    "VMCS_LINK_POINTER",
    "VM_FUNCTION_CONTROLS",
    "GUEST_IA32_PAT",
  ),
  field.efer,
  field.dr7,
  field.debugctl,
];

/** The lists for a model: fields that its guests' VMMs do not have stay out of them. */
export interface MovedFields {
  /** From 12 to 02 at an entry, and from 02 to 12 at an exit. */
  readonly entered: FieldList;
  readonly exited: FieldList;
  /** What 02 has of neither alone. */
  readonly decided: FieldList;
  /** From 01 at an entry: what the inner guest has of its VMM, where no control says otherwise. */
  readonly inherited: FieldList;
  /** Exchanged only where a control says so. */
  readonly debug: FieldList;
  readonly efer: FieldList;
  readonly pat: FieldList;
  readonly timer: FieldList;
  readonly pdptes: FieldList;
  readonly guestPhysical: FieldList;
}

export function movedFields(cpu: CpuModel): MovedFields {
  const offered = offeredFields(cpu);
  const list = (encodings: readonly number[]): FieldList => fieldList(encodings.filter((each) => offered.has(each)));
  return {
    entered: list([...plainGuest, ...ownParameters]),
    exited: list([...plainGuest, ...exitInformation]),
    decided: list(decided),
    inherited: fieldList([field.dr7, field.debugctl, field.efer]),
    debug: fieldList([field.dr7, field.debugctl]),
    efer: fieldList([field.efer]),
    pat: list(named("GUEST_IA32_PAT")),
    timer: list(named("VMX_PREEMPTION_TIMER_VALUE")),
    pdptes: list(field.pdptes),
    guestPhysical: list([field.guestPhysical]),
  };
}
