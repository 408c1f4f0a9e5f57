// The exceptions of the architecture (Intel SDM vol. 3, chapter "Interrupt and Exception Handling").

import { sdm3, type Citation } from "./citations.js";

/** Faults restart the instruction, traps follow it, aborts end the program; interrupts come from outside. */
export type ExceptionClass = "fault" | "trap" | "abort" | "interrupt";

export interface ExceptionInfo {
  readonly vector: number;
  /** The manual's mnemonic with its mark, as judgements write it (`#GP`). NMI has none. */
  readonly name: string;
  readonly title: string;
  readonly class: ExceptionClass;
  /** True where delivery pushes an error code in protected mode. */
  readonly hasErrorCode: boolean;
  /** How two of them combine: only contributory and page faults make double faults. */
  readonly severity: "benign" | "contributory" | "page-fault" | "double-fault";
}

const row = (
  vector: number,
  name: string,
  title: string,
  kind: ExceptionClass,
  hasErrorCode: boolean,
  severity: ExceptionInfo["severity"],
): ExceptionInfo => ({ vector, name, title, class: kind, hasErrorCode, severity });

export const exceptionsCitation: Citation = sdm3("Interrupt and Exception Handling", "Exception and Interrupt Vectors");

export const exceptions: readonly ExceptionInfo[] = [
  row(0, "#DE", "divide error", "fault", false, "contributory"),
  row(1, "#DB", "debug exception", "fault", false, "benign"), // a trap for single steps and data breakpoints
  row(2, "NMI", "non-maskable interrupt", "interrupt", false, "benign"),
  row(3, "#BP", "breakpoint", "trap", false, "benign"),
  row(4, "#OF", "overflow", "trap", false, "benign"),
  row(5, "#BR", "bound range exceeded", "fault", false, "benign"),
  row(6, "#UD", "invalid opcode", "fault", false, "benign"),
  row(7, "#NM", "device not available", "fault", false, "benign"),
  row(8, "#DF", "double fault", "abort", true, "double-fault"),
  row(10, "#TS", "invalid TSS", "fault", true, "contributory"),
  row(11, "#NP", "segment not present", "fault", true, "contributory"),
  row(12, "#SS", "stack-segment fault", "fault", true, "contributory"),
  row(13, "#GP", "general protection", "fault", true, "contributory"),
  row(14, "#PF", "page fault", "fault", true, "page-fault"),
  row(16, "#MF", "x87 floating-point error", "fault", false, "benign"),
  row(17, "#AC", "alignment check", "fault", true, "benign"),
  row(18, "#MC", "machine check", "abort", false, "benign"),
  row(19, "#XM", "SIMD floating-point exception", "fault", false, "benign"),
  row(20, "#VE", "virtualization exception", "fault", false, "page-fault"),
  row(21, "#CP", "control protection", "fault", true, "contributory"),
  row(28, "#HV", "hypervisor injection (AMD)", "interrupt", false, "benign"),
  row(29, "#VC", "VMM communication (AMD)", "fault", true, "contributory"),
  row(30, "#SX", "security exception (AMD)", "fault", true, "contributory"),
];

const byVector = new Map(exceptions.map((e) => [e.vector, e]));
const byName = new Map(exceptions.map((e) => [e.name, e]));

export const exceptionByVector = (vector: number): ExceptionInfo | undefined => byVector.get(vector);
/** Looks up by the name as judgements write it, with the `#`. */
export const exceptionByName = (name: string): ExceptionInfo | undefined => byName.get(name);
