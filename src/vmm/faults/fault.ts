// A bundled VMM that is wrong on purpose. What makes it so stands between the VMM and what it drives: the virtualization
// interface, where exits come in and actions go out. The VMM itself knows nothing of it, and without a fault there is
// nothing in between (docs/mutants.md).

import type { VmmChoice, VmmPolicy } from "../policy.js";
import type { EmulatedInstruction } from "../software/shared/emulation.js";
import type { EntryFailure, Processor } from "../virtualization.js";
import type { SvmSeat } from "./svm-seat.js";
import type { VmxSeat } from "./vmx-seat.js";

/** VMMs as a fault names them; `hardware` is any of them, nesting or not; `hv` is the carried one of the library. */
export type FaultyVmm = VmmChoice["kind"] | "hardware nested" | "hv";

/** What a fault does at the moments that the interface has. */
export interface Hooks<At extends Seat> {
  /** Right before an entry: what the VMM has prepared can be changed. */
  entry?(at: At): void;
  /** Right after an exit: what the VMM will find can be changed. With `again` it finds nothing, and the guest goes on. */
  exit?(at: At): "again" | undefined;
  /** What the checks say that a VMM asks for without entering. */
  check?(failure: EntryFailure | undefined, at: At): EntryFailure | undefined;
  /** The VMM does not drop translations of the hardware where it should. */
  readonly keepsTranslations?: true;
  /** The VMM does not send itself the NMI that an exit took. */
  readonly losesNmi?: true;
}

/** What an exit was, whatever the vendor; undefined before the first. */
export interface Seat {
  readonly processor: Processor;
  readonly lastExit: string | undefined;
}

/** How a fault is brought about; any part may be absent. */
export interface Fault {
  /** The VMM reads the declared policy as this. */
  policy?(policy: VmmPolicy): VmmPolicy;
  readonly vmx?: Hooks<VmxSeat>;
  readonly svm?: Hooks<SvmSeat>;
  /** Operations of the VMM's processor that do something else. */
  processor?(real: Processor, at: Seat): Partial<Processor>;
  /** For software VMMs: what they know of the instructions that they carry out. */
  instructions?(table: InstructionTable): InstructionTable;
  /** For the carried VMM: text of a module of the library, and what stands there instead. */
  readonly library?: { readonly module: string; readonly text: string; readonly becomes: string };
}

export type InstructionTable = ReadonlyMap<string, EmulatedInstruction>;

/** One faulty VMM of the catalogue. */
export interface FaultRow {
  /** Permanent, in words joined by hyphens. */
  readonly name: string;
  /** What the VMM does wrong, as a sentence about it. */
  readonly wrong: string;
  /** The manual's rule that it breaks, or the mistake of a real VMM that it repeats. */
  readonly models: string;
  readonly vmms: readonly FaultyVmm[];
  /** Absent: both. */
  readonly vendor?: "intel" | "amd";
  /** Absent: either. Shadow page tables stand where the hardware has no second level of translation. */
  readonly paging?: "shadow" | "second-level";
  readonly fault: Fault;
}
