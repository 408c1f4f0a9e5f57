// The shape of an instruction's facts: one record for each mnemonic, one row for each form, in the manual's notation.
// Rows are plain data here; notation.ts reads them, the generator and the tests validate them, start-up does not.

import type { Citation } from "./citations.js";
import type { RepeatKind } from "./decode-record.js";
import type { CpuFeature } from "./features.js";

/** One encoding of an instruction. */
export interface Form {
  /** Opcode in the manual's notation, e.g. `o32 81 /0 id`, `F3 0F 1E FA`, `VEX.LZ.0F38.W0 F2 /r` (see notation.ts). */
  readonly code: string;
  /** Operands as written, separated by commas, each with its access: `r/m32:rw, imm32`. Nothing said means read. */
  readonly operands: string;
  readonly lock: boolean;
  readonly repeat: RepeatKind;
  readonly modes: "any" | "not64" | "only64";
  /** Operand size in 64-bit mode: 64 without REX.W (`default64`), or 64 whatever the prefixes say (`force64`). */
  readonly size64: "plain" | "default64" | "force64";
  /** `alias` forms only encode: other forms own their bytes. `decode` forms only decode, or encode when forced. */
  readonly use: "both" | "alias" | "decode";
  readonly execute?: string;
  readonly argument?: number;
  readonly feature?: CpuFeature;
}

export type FormOptions = Partial<Omit<Form, "code" | "operands">>;

/** What an instruction does to the flags, by names separated by spaces. */
export interface FlagEffects {
  readonly reads?: string;
  readonly writes?: string;
  readonly clears?: string;
  readonly sets?: string;
  readonly undefined?: string;
}

/** The exit that a VMM can ask for, or always gets. */
export interface Intercept {
  /** The manual's name of the exit reason or exit code. */
  readonly exit: string;
  /** `always`, or the control bit or intercept that asks for it, and what else decides. */
  readonly when: string;
  /** Where the check stands among the faults of the instruction, in words; see `interceptPriority`. */
  readonly priority?: string;
}

/** What each vendor's hardware can intercept. */
export interface Intercepts {
  readonly vmx?: Intercept | readonly Intercept[];
  readonly svm?: Intercept | readonly Intercept[];
}

/**
 * What stands outside ring 0: `privileged` traps, `io` is up to IOPL and the permission bitmap, `iopl` to IOPL alone,
 * `sensitive` reads or changes privileged state without a trap (mission row 1), `plain` has nothing to hide.
 */
export type Sensitivity = "plain" | "privileged" | "io" | "iopl" | "sensitive";

export interface Instruction {
  /** Upper case, as in the manual. */
  readonly mnemonic: string;
  /** Other names of the same instruction (JZ for JE). */
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly cite: readonly Citation[];
  readonly forms: readonly Form[];
  readonly flags: FlagEffects;
  /** Exceptions beyond those that any memory operand can raise, in the manual's order: `#GP(0): CPL is not 0`. */
  readonly faults: readonly string[];
  /** Operands that are not written, with their access: `EAX:rw, EDX:w`. */
  readonly implicit: string;
  readonly execute: string;
  readonly argument: number;
  readonly feature?: CpuFeature;
  /** Its opcode was a no-operation before the feature came, and still is on processors without it. */
  readonly nopWithoutFeature: boolean;
  /** #UD on processors without the feature, also where another instruction's form would answer to its bytes. */
  readonly exclusive: boolean;
  readonly unit: "integer" | "x87" | "mmx" | "sse";
  readonly sensitivity: Sensitivity;
  readonly intercepts: Intercepts;
  readonly endsBlock: boolean;
  readonly serializing: boolean;
  /** #UD in real and virtual-8086 mode. */
  readonly protectedOnly: boolean;
}

type Optional =
  | "aliases"
  | "cite"
  | "flags"
  | "faults"
  | "implicit"
  | "execute"
  | "argument"
  | "feature"
  | "nopWithoutFeature"
  | "exclusive"
  | "unit"
  | "sensitivity"
  | "intercepts"
  | "endsBlock"
  | "serializing"
  | "protectedOnly";

/** What a row states; the rest has the defaults of `instruction`. */
export type InstructionFacts = Omit<Instruction, Optional> &
  Partial<Omit<Instruction, "cite">> & { readonly cite: Citation | readonly Citation[] };

/** Where an intercept is checked unless the row says otherwise. */
export const interceptPriority = {
  /** Intel SDM vol. 3, "Relative Priority of Faults and VM Exits". */
  vmx: "after #UD and after faults by privilege or mode, before all others",
  /** AMD APM vol. 2, "Instruction Intercepts". */
  svm: "after #UD and after #GP by privilege, before all others",
} as const;

/** Declares a form. */
export function form(code: string, operands = "", options: FormOptions = {}): Form {
  return { code, operands, lock: false, repeat: "none", modes: "any", size64: "plain", use: "both", ...options };
}

/** Declares an instruction. */
export function instruction(facts: InstructionFacts): Instruction {
  return {
    aliases: [],
    flags: {},
    faults: [],
    implicit: "",
    execute: facts.mnemonic.toLowerCase(),
    argument: 0,
    nopWithoutFeature: false,
    exclusive: false,
    unit: "integer",
    sensitivity: "plain",
    intercepts: {},
    endsBlock: false,
    serializing: false,
    protectedOnly: false,
    ...facts,
    cite: Array.isArray(facts.cite) ? (facts.cite as readonly Citation[]) : [facts.cite as Citation],
  };
}
