// What a carried image does beside the guest's own code, as one text in the language itself: handlers, points, the
// report, and the variables of all three. One text serves 32- and 64-bit guests but for the ways in and out.

import { handlerSource, monitorHandlerSource } from "./handler-source.js";
import { pointSource } from "./point-source.js";
import { ownValueSource, reportSource } from "./report-source.js";
import { virtualizationSource } from "./virtualization-source.js";

/** Registers in the order in which the scaffold keeps them, by the names that its variables have. */
export const savedRegisters = {
  32: ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"],
  64: ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
} as const;

/** The text for a guest whose handlers run in code of the given width. */
export function bodySource(bits: 32 | 64): string {
  const report = reportSource.replace("{take_value}", ownValueSource);
  return inWidth(bits, handlerSource(bits) + pointSource + virtualizationSource + report + dataSource(bits));
}

/** The text for an image whose VMM runs the guest: `guest` is how the guest is served. */
export function monitorBodySource(guest: string): string {
  const report = reportSource.replace("{take_value}", "");
  return inWidth(64, monitorHandlerSource() + guest + report + dataSource(64));
}

function inWidth(bits: 32 | 64, text: string): string {
  return text.replace(/\{([a-d]x|[sd]i|[sb]p)\}/g, (_, name: string) => `${bits === 64 ? "r" : "e"}${name}`);
}

/** Filled in for each program. */
const given = [
  ...["start_address", "start_stack", "stamp", "point_vector", "ring3_stack", "finals_first", "finals_end"],
  ...["resume_table", "resume_count", "point_table", "point_count", "read_lists", "marks", "mark_count"],
];
/** State of the scaffold itself: the event being served, the ring block that is entered, a number to be sent. */
const own = [
  "called_from",
  "called_stack",
  "served",
  "launched_at",
  "launched_line",
  "inside",
  "vector",
  "error",
  "behind",
  "entered",
  "ring0_cs",
  "ring0_ss",
  "ring0_sp",
  "ring0_flags",
  "number",
];
/** The guest's state beside its general registers. */
const kept = [
  ...["saved_flags", "saved_ip", "saved_cs", "saved_ss", "saved_ds", "saved_es", "saved_fs", "saved_gs"],
  ...["saved_cr2", "saved_dr6"],
];

/** Fields of the VMCS that the report of an exit holds, in order; readers know them by their place. */
const reportedFields = [
  ...["EXIT_REASON", "EXIT_QUALIFICATION", "GUEST_PHYSICAL_ADDRESS", "GUEST_LINEAR_ADDRESS"],
  ...["VM_EXIT_INTERRUPTION_INFORMATION", "VM_EXIT_INTERRUPTION_ERROR_CODE"],
  ...["IDT_VECTORING_INFORMATION", "IDT_VECTORING_ERROR_CODE"],
  ...["VM_EXIT_INSTRUCTION_LENGTH", "VM_EXIT_INSTRUCTION_INFORMATION", "GUEST_RIP"],
];

function dataSource(bits: 32 | 64): string {
  const registers = savedRegisters[bits].map((name) => `saved_${name}`);
  const variables = (names: readonly string[]): string => names.map((name) => `  ${name}: dq 0\n`).join("");
  return `
data {
  align 8
${variables([...given, ...own])}
  saved:
${variables([...registers, ...kept])}
  far_stack: dd 0
             dw 0
  shutdown:  db "Shutdown"
  align 4
  no_point:  zero POINT_BYTES
  vmcs_fields:
${reportedFields.map((name) => `  dd ${name}\n`).join("")}  dd VMCS_FIELDS_END
  align 16
  zero  0x400
  scaffold_stack:
}
`;
}
