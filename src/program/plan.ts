// The event plan: which events must happen where. It is the same for both lowerings but for the addresses.
//
// A *line* is one statement of a guest's code. A *point* is a place where the run does something that is not an
// instruction of the guest: note a visit, take a probe, resume after a trap, switch rings, end. In the bundled
// lowering points take no bytes (the core stops there); in the carried one they are code.

import type { Span } from "../base/index.js";
import type { EventKind, FieldValue } from "./event.js";
import type { SegmentState } from "./image.js";

/** What a judgement says one event must be. Fields not named are not compared. */
export interface EventPattern {
  readonly kind: EventKind;
  /** What the manual calls it: `#GP`, `CPUID`, `VMfailValid`, the name of the entered guest. */
  readonly subject?: string;
  readonly fields: readonly { readonly name: string; readonly value: FieldValue }[];
  /** The party that receives it, by name: a guest or `vmm`. */
  readonly to?: string;
  /** Source text of the event, for messages. */
  readonly text: string;
}

/** One event that is owed or compared: exactly one pattern, or any of several (`any of (A, B)`). */
export type ExpectedEvent = readonly EventPattern[];

/** What one execution of the line must do. An empty list is `nothing`. */
export interface Round {
  readonly events: readonly ExpectedEvent[];
  /** Exactly so many executions; absent means every further one. */
  readonly times?: bigint;
}

/** `=> any` opts out; `=> ?` is a hole that always fails; otherwise rounds in order. */
export type Judgement =
  { readonly kind: "any" } | { readonly kind: "hole" } | { readonly kind: "rounds"; readonly rounds: readonly Round[] };

/** One statement of a guest's code with what is expected of it. */
export interface PlannedLine {
  readonly guest: string;
  /** Place as transcripts name it: nearest label, plus, offset (`l2+0x00`). */
  readonly place: string;
  /** The line stands in a module that the test uses: its bytes count nothing in places. */
  readonly fromModule?: boolean;
  /** The statement as written, without label, judgement and comment; runs of spaces are one space. */
  readonly text: string;
  readonly span: Span;
  /** Of a line in the body of a macro: the uses that led to it, outermost first. */
  readonly uses?: readonly Span[];
  /** Where the judgement stands; the line itself owes nothing when absent. */
  readonly judgementSpan?: Span;
  readonly judgement?: Judgement;
  /**
   * Index of the line whose judgement claims this line's events: the first line of a judged macro use. Executions of
   * that line begin rounds; executions of claimed lines go on with the round.
   */
  readonly claimedBy?: number;
  /** All executions of the line, and of those that it answers for, count as one. */
  readonly judgedOnce?: true;
  /** Indices in `EventPlan.forbidden` of what must not happen on the line. */
  readonly never?: readonly number[];
  readonly address: bigint;
  /** In the carried lowering: where the code begins that counts the line's visit, if there is any. */
  readonly visitAddress?: bigint;
  readonly lengthBytes: number;
  /** Where the guest goes on after an expected trap: the next statement, or the label of `goto`. */
  readonly resume: bigint;
  /** The line lies in a `ring 3` block and `resume` does not: going there leaves the ring as its end does. */
  readonly leavesRing?: boolean;
}

/** The event of a `never` block. */
export interface Forbidden {
  readonly pattern: EventPattern;
  readonly span: Span;
}

/** A value that is read from the guest at a probe or at the end of the test. */
export type Read =
  | { readonly kind: "register"; readonly name: string; readonly sizeBits: number }
  | { readonly kind: "flags" }
  | { readonly kind: "memory"; readonly guest: string; readonly address: ReadAddress; readonly sizeBits: number }
  | { readonly kind: "msr"; readonly address: number }
  | { readonly kind: "vmcs"; readonly encoding: number }
  | { readonly kind: "vmcb"; readonly offsetBytes: number; readonly sizeBits: number }
  | { readonly kind: "count"; readonly pattern: EventPattern }
  | { readonly kind: "cycles"; readonly of: string };

/** base + index * scale + displacement; registers by their 64-bit names. */
export interface ReadAddress {
  readonly base?: string;
  readonly index?: string;
  readonly scale: 1 | 2 | 4 | 8;
  readonly displacement: bigint;
}

/** An expression over reads: what `expect` compares. Arithmetic is 64 bits wide, as in language.md. */
export type Condition =
  | { readonly kind: "constant"; readonly value: bigint }
  | { readonly kind: "read"; readonly read: number }
  | { readonly kind: "unary"; readonly op: string; readonly operand: Condition }
  | { readonly kind: "binary"; readonly op: string; readonly left: Condition; readonly right: Condition };

/** `expect CONDITION`: the reads are taken together; the condition holds when it is not 0. */
export interface Expectation {
  readonly reads: readonly Read[];
  readonly condition: Condition;
  readonly span: Span;
  readonly text: string;
  readonly guest: string;
}

/** A place where the run does something that is no instruction of the guest. */
export type Point = { readonly address: bigint; readonly guest: string } & (
  | { readonly kind: "visit"; readonly line: number }
  | { readonly kind: "probe"; readonly expectation: number }
  | { readonly kind: "handler"; readonly vector: number; readonly hasErrorCode: boolean }
  /** Acts in ring 0 only: code in the ring that jumps to the block's first statement passes it. */
  | {
      readonly kind: "ring-enter";
      readonly ring: 3;
      readonly stack: bigint;
      readonly cs: SegmentState;
      readonly ss: SegmentState;
    }
  /** Acts only while a ring is entered. */
  | { readonly kind: "ring-leave" }
  | { readonly kind: "raise"; readonly event: string; readonly vector?: number; readonly line: number }
  | { readonly kind: "done" }
);

/** Everything that decides whether a run passes. */
export interface EventPlan {
  readonly lines: readonly PlannedLine[];
  /** What must not happen on lines that name it: one for each `never` block, which must be entered. */
  readonly forbidden: readonly Forbidden[];
  /** In order of address; several at one address act in this order. */
  readonly points: readonly Point[];
  readonly expectations: readonly Expectation[];
  /** Indices of the expectations that stand at the end of the test rather than at a place in code. */
  readonly finals: readonly number[];
  /** The whole transcript is kept in a file and compared. */
  readonly golden: boolean;
  /** Guest instructions after which the run counts as a hang. */
  readonly budgetInstructions: number;
}
