// Events: what happened, in order. The core, the VMM and the points of the plan all append to one stream.
//
// An event has one shape whatever its vendor: a kind, a subject by the manual's name, decoded fields, a receiver.
// Patterns of judgements have the same shape (plan.ts), so matching, transcripts and hover share one mechanism.
// Which subjects and fields exist is a table in isa/ (events.ts).

/** The kinds that judgements can name, and those that only the run itself uses (`visit`, `probe`, `done`). */
export type EventKind =
  | "trap" // an exception or software interrupt delivered inside a guest
  | "interrupt" // an external interrupt or NMI delivered inside a guest
  | "exit" // a VM exit or #VMEXIT
  | "enter" // a VM entry or VMRUN that succeeded
  | "fail" // a VMX instruction that failed: VMfailInvalid, VMfailValid
  | "reject" // an entry that failed after the checks on guest state, or VMEXIT_INVALID
  | "inject" // the VMM injects an event into its guest
  | "emulate" // the VMM does an instruction's work for its guest
  | "refuse" // the VMM refuses what it cannot do, and says why
  | "task_switch"
  | "halt"
  | "shutdown" // triple fault
  | "unsupported" // the guest executed what this machine does not implement
  | "visit" // a judged line begins to execute
  | "probe" // an `expect` in the code took its values
  | "done"; // a guest ended

/** A number, or a word of the event's vocabulary such as `write` or `mov_to_cr`. */
export type FieldValue = bigint | string;

/** Why an exit to the bundled VMM happened; see docs/decisions/0002-owed-shown-public-internal.md. */
export type ExitClass = "public" | "internal" | "assist";

/** One thing that happened. */
export interface RunEvent {
  readonly kind: EventKind;
  readonly subject?: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** The party to whom it happened: the guest whose instruction it was, or `vmm`. */
  readonly guest: string;
  /** The party that received it; absent when it stayed with the guest. */
  readonly to?: string;
  /** For exits to the bundled VMM. */
  readonly class?: ExitClass;
  /** Linear address of the instruction to which the event belongs. */
  readonly rip: bigint;
  /** Guest instructions retired when it happened: the virtual time. */
  readonly retired: bigint;
  /** Id of the rule or control bit that decided, where one did (`host.cr0.fixed`). */
  readonly rule?: string;
  /** For `visit`: the line; for `probe`: the expectation. */
  readonly index?: number;
  /** For `probe`: the values of the expectation's reads, in order. */
  readonly values?: readonly bigint[];
  /** In words, where there is more to say: why a VMM refused, what was not supported. */
  readonly note?: string;
}

/** Why a run ended. */
export type RunEnd =
  | { readonly kind: "done" }
  | { readonly kind: "halted" }
  | { readonly kind: "shutdown" }
  /** `rip` is where the guest is then; absent where nobody can tell. */
  | { readonly kind: "budget-spent"; readonly rip?: bigint }
  | { readonly kind: "unexpected"; readonly event: RunEvent }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "unsupported"; readonly what: string };

/** Everything a run tells: the events in order, why it ended, and the values read at the end. */
export interface RunLog {
  readonly events: readonly RunEvent[];
  readonly end: RunEnd;
  /** Values of the final expectations' reads, by index of the expectation. */
  readonly finalValues: ReadonlyMap<number, readonly bigint[]>;
  readonly instructions: bigint;
}
