// The resolved program: every name has its meaning, every cell of the matrix is its own case. What is left open is
// only what depends on layout: addresses of symbols, and with them the encoded length of instructions.

import type { Span } from "../base/index.js";
import type { CodeBits, MemoryOperand, OperandValue } from "../codec/index.js";
import type { Platform } from "../isa/index.js";
import type { EventKind } from "../program/index.js";
import type { ModuleSources } from "./modules.js";

/** All tests of one file. */
export interface ResolvedFile {
  readonly name: string;
  readonly tests: readonly ResolvedTest[];
}

/** One `test`, expanded over its matrix. */
export interface ResolvedTest {
  readonly file: string;
  /** As written, `{value}` not replaced. */
  readonly name: string;
  readonly doc?: string;
  readonly span: Span;
  readonly golden: boolean;
  readonly only: boolean;
  readonly xfail?: string;
  readonly cases: readonly ResolvedCase[];
}

/** Who runs under whom, innermost first; `[]` is `vmm none`. */
export type VmmStack = readonly VmmChoice[];

export interface VmmChoice {
  readonly kind: "hardware" | "trap_and_emulate" | "binary_translation";
  /** `hardware nested`: the guest may bring its own VMM. */
  readonly nested: boolean;
  readonly policy: Policy;
}

/** What the `vmm` block declares, on top of the baseline policy. Reads the same for both vendors. */
export interface Policy {
  /** Names of exits that are asked for (`intercept RDTSC, #UD`); `intercept nothing` gives an empty list. */
  readonly intercepts: readonly string[];
  /** Set by `intercept nothing`: what the baseline policy intercepts without need (AMD: CPUID, HLT) is off too. */
  readonly interceptNothing?: true;
  readonly memory: readonly MemoryRule[];
  readonly ports: readonly PortRule[];
  readonly msrs: readonly MsrRule[];
}

export type DeniedAction = "skip" | "fault" | "stop";

/** What the guest may do with guest-physical addresses `start` to `end` (inclusive). */
export interface MemoryRule {
  readonly start: bigint;
  readonly end: bigint;
  readonly rights: { readonly read: boolean; readonly write: boolean; readonly execute: boolean };
  readonly denied: DeniedAction;
  readonly span: Span;
}

export interface PortRule {
  readonly start: number;
  readonly end: number;
  readonly rights: { readonly read: boolean; readonly write: boolean };
  readonly denied: DeniedAction;
  readonly span: Span;
}

export interface MsrRule {
  readonly start: number;
  readonly end: number;
  readonly rights: { readonly read: boolean; readonly write: boolean };
  readonly denied: DeniedAction;
  readonly span: Span;
}

/** One cell of a test's matrix: what is compiled and run. */
export interface ResolvedCase {
  readonly file: string;
  readonly test: string;
  /** The test's name with `{value}` replaced by source text. */
  readonly title: string;
  readonly platform: Platform;
  readonly vmm: VmmStack;
  /** As messages show it: `vmm hardware nested`. */
  readonly vmmText: string;
  /** `each` bindings by name, as written, in order. */
  readonly bindings: readonly { readonly name: string; readonly text: string }[];
  /** Why this cell cannot run; nothing else is meaningful then. */
  readonly skip?: string;
  readonly guests: readonly ResolvedGuest[];
  /** `expect` at the end of the test. */
  readonly finals: readonly ResolvedExpectation[];
  readonly golden: boolean;
  readonly xfail?: string;
  /** Why the case holds only on the bundled machine. */
  readonly bundled?: string;
  readonly budgetInstructions: number;
  readonly span: Span;
  /** The library among which the test was read: a carried image brings parts of it along. */
  readonly library: ModuleSources;
}

/** Modes a guest can start in; the environment (descriptor tables, page tables, stacks) follows from it. */
export type GuestMode = "real16" | "prot16" | "prot32" | "paged32" | "pae32" | "compat32" | "long64";

export interface ResolvedGuest {
  readonly name: string;
  readonly mode: GuestMode;
  readonly bits: CodeBits;
  /** The guest whose VMM runs this one; absent for the outermost. */
  readonly under?: string;
  readonly code: readonly Item[];
  readonly data: readonly Item[];
  /** `at ADDRESS { … }` and `data at ADDRESS { … }`: code and data at addresses of the test's choice. */
  readonly placed: readonly PlacedBlock[];
  readonly maps: readonly PageRule[];
  readonly starts: readonly StartRule[];
  readonly handlers: readonly Handler[];
  readonly span: Span;
}

/** A block of code or data that lies where the test says. */
export interface PlacedBlock {
  readonly kind: "code" | "data";
  readonly address: bigint;
  readonly items: readonly Item[];
  readonly span: Span;
}

/** `start NAME = VALUE`: what the guest's start state has otherwise than its mode gives it. */
export interface StartRule {
  readonly target:
    | { readonly kind: "state"; readonly name: StartName }
    /** A general register by its 64-bit name, or CR2. */
    | { readonly kind: "register"; readonly name: string }
    | { readonly kind: "msr"; readonly address: number };
  readonly value: Value;
  readonly span: Span;
}

/** `map RANGE rights [to ADDRESS]`: how the guest's own page tables map a range. */
export interface PageRule {
  readonly start: bigint;
  readonly end: bigint;
  readonly to?: bigint;
  /** `raw VALUE`: the whole entry of the only page of the range, rights and address included. */
  readonly raw?: bigint;
  /** Raw low bits of the entry are derived from these. */
  readonly present: boolean;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  readonly span: Span;
}

/** `handler #PF { … }`: guest code that the IDT's gate of the vector points to. */
export interface Handler {
  readonly vector: number;
  readonly code: readonly Item[];
  readonly span: Span;
}

/** A statement that is judged and shown: instructions and bytes in code. */
export interface LineInfo {
  readonly span: Span;
  /** Source text without label, judgement, comment; runs of spaces are one; a macro's arguments are put in. */
  readonly text: string;
  readonly judgement?: BoundJudgement;
  readonly judgementSpan?: Span;
  /**
   * The line that answers for this one: the first line of a judged macro use, whose judgement claims the events of the
   * whole body in order. Absent on that line itself, and on lines of a body that have their own judgement.
   */
  readonly claimedBy?: LineInfo;
  /** `within`: all executions of the line, and of those that it answers for, count as one. */
  readonly judgedOnce?: true;
  /** `never EVENT { … }`: what must not happen on the line; each block's event is one object. */
  readonly never?: readonly ForbiddenEvent[];
  /** Label of `goto`, bound; absent means the next statement. */
  readonly goto?: Value;
  /** The macro uses that led here, outermost first. */
  readonly expansions: readonly Span[];
}

/** The event of a `never` block, which must be entered. */
export interface ForbiddenEvent {
  readonly event: BoundEvent;
  readonly span: Span;
}

/** What lies in a section, in order. */
export type Item =
  | {
      readonly kind: "label";
      readonly symbol: SymbolId;
      readonly name: string;
      readonly span: Span;
      /** The label is a macro body's own, or a constant's `$`: places in transcripts are not told by it. */
      readonly inMacro?: boolean;
    }
  | { readonly kind: "instruction"; readonly line: LineInfo; readonly instruction: InstructionTemplate }
  /** `db`, `dw`, `dd`, `dq`: in code they are a line, in data they are not. */
  | {
      readonly kind: "bytes";
      readonly line: LineInfo;
      readonly unitBytes: 1 | 2 | 4 | 8;
      readonly values: readonly Value[];
    }
  | { readonly kind: "zero"; readonly count: Value; readonly span: Span }
  | { readonly kind: "align"; readonly boundary: bigint; readonly span: Span }
  | { readonly kind: "ring"; readonly ring: 0 | 3; readonly body: readonly Item[]; readonly span: Span }
  | { readonly kind: "expect"; readonly expectation: ResolvedExpectation }
  | { readonly kind: "raise"; readonly event: string; readonly vector?: Value; readonly span: Span }
  | { readonly kind: "done"; readonly span: Span };

/** Symbols are numbered through the case; names are for people. */
export type SymbolId = number;

/** An instruction whose operands may still depend on addresses. */
export interface InstructionTemplate {
  readonly mnemonic: string;
  readonly mnemonicSpan: Span;
  readonly prefixes: readonly string[];
  readonly operands: readonly OperandTemplate[];
  readonly bits: CodeBits;
  /** The form that `encode` asks for, in the notation of its opcode; absent for the shortest. */
  readonly form?: { readonly notation: string; readonly span: Span };
}

/** An operand with the value parts that layout fills in. `span` is where it stands. */
export type OperandTemplate =
  | { readonly kind: "fixed"; readonly operand: OperandValue; readonly span: Span }
  | {
      readonly kind: "immediate";
      readonly operand: Extract<OperandValue, { kind: "immediate" }>;
      readonly value: Value;
      readonly span: Span;
    }
  | { readonly kind: "memory"; readonly operand: MemoryOperand; readonly displacement: Value; readonly span: Span }
  | {
      readonly kind: "far";
      readonly selector: Value;
      readonly offset: Value;
      readonly sizeBits?: 16 | 32;
      readonly span: Span;
    };

/**
 * A number that is known, or will be once symbols have addresses. Constants are canonical 64-bit values as in base's
 * operators.ts: signed, so -1 and not 2^64 - 1. Operators are those of base's `applyUnary` and `applyBinary`.
 */
export type Value =
  | { readonly kind: "constant"; readonly value: bigint }
  | { readonly kind: "symbol"; readonly symbol: SymbolId; readonly span: Span }
  | { readonly kind: "here"; readonly span: Span }
  | { readonly kind: "section-start"; readonly span: Span }
  /** Part of the state in which a guest starts (`l2.CR3`, `l2.CS.RIGHTS`; also `GDT.BASE`): the compiler knows it. */
  | { readonly kind: "start"; readonly guest: string; readonly what: StartName; readonly span: Span }
  | { readonly kind: "unary"; readonly op: string; readonly operand: Value; readonly span: Span }
  | { readonly kind: "binary"; readonly op: string; readonly left: Value; readonly right: Value; readonly span: Span };

/** A judgement whose field values may depend on addresses. */
export type BoundJudgement =
  | { readonly kind: "any" }
  | { readonly kind: "hole" }
  | { readonly kind: "rounds"; readonly rounds: readonly BoundRound[] };

export interface BoundRound {
  readonly events: readonly (readonly BoundEvent[])[];
  readonly times?: Value;
}

export interface BoundEvent {
  readonly kind: EventKind;
  /** As isa's event tables name it: `#GP`, `CPUID`, `VMfailValid`; for `enter` the name of the entered guest. */
  readonly subject?: string;
  /** A known number is unsigned here. */
  readonly fields: readonly { readonly name: string; readonly value: Value | string }[];
  readonly to?: string;
  readonly text: string;
}

/** `expect`: reads and the condition over them; symbols are bound at layout. */
export interface ResolvedExpectation {
  readonly condition: BoundCondition;
  readonly span: Span;
  readonly text: string;
  readonly guest: string;
}

export type BoundCondition =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "register"; readonly name: string; readonly sizeBits: number }
  | { readonly kind: "flags" }
  | {
      readonly kind: "memory";
      readonly operand: MemoryOperand;
      readonly displacement: Value;
      readonly sizeBits: number;
      readonly guest: string;
    }
  | { readonly kind: "msr"; readonly address: number }
  | { readonly kind: "vmcs"; readonly encoding: number }
  | { readonly kind: "vmcb"; readonly offsetBytes: number; readonly sizeBits: number }
  | { readonly kind: "count"; readonly pattern: BoundEvent }
  | { readonly kind: "cycles"; readonly of: string }
  | { readonly kind: "unary"; readonly op: string; readonly operand: BoundCondition }
  | { readonly kind: "binary"; readonly op: string; readonly left: BoundCondition; readonly right: BoundCondition };

type SegmentPart = "SELECTOR" | "BASE" | "LIMIT" | "RIGHTS";

/** The parts of a guest's start state that expressions can name, after the fields of `StartState`. */
export type StartName =
  | "RIP"
  | "RSP"
  | "RFLAGS"
  | "CR0"
  | "CR3"
  | "CR4"
  | "EFER"
  | `${"GDTR" | "IDTR"}.${"BASE" | "LIMIT"}`
  | `${"ES" | "CS" | "SS" | "DS" | "FS" | "GS" | "LDTR" | "TR"}.${SegmentPart}`;
