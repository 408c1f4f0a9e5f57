// What a test declares of its VMM, and how a handler looks it up. The shapes are those that a resolved test holds.

/** How a denied access ends: without effect, with a fault in the guest, or with the end of the guest. */
export type DeniedAction = "skip" | "fault" | "stop";

/** Inclusive range of guest-physical addresses. */
export interface MemoryPolicy {
  readonly start: bigint;
  readonly end: bigint;
  readonly rights: { readonly read: boolean; readonly write: boolean; readonly execute: boolean };
  readonly denied: DeniedAction;
}

/** Inclusive range of ports or MSRs. */
export interface RangePolicy {
  readonly start: number;
  readonly end: number;
  readonly rights: { readonly read: boolean; readonly write: boolean };
  readonly denied: DeniedAction;
}

/** The `vmm` block, on top of the baseline policy. */
export interface VmmPolicy {
  /** Names of exits, and of exceptions (`#UD`), that are asked for. */
  readonly intercepts: readonly string[];
  /** `intercept nothing`: the baseline's optional interceptions are off too. */
  readonly interceptNothing?: true;
  /** Interrupts and NMIs are the guest's own and do not exit (pass-through.ts). */
  readonly passThrough?: true;
  readonly memory: readonly MemoryPolicy[];
  readonly ports: readonly RangePolicy[];
  readonly msrs: readonly RangePolicy[];
}

/** A policy that declares nothing. */
export const emptyPolicy: VmmPolicy = { intercepts: [], memory: [], ports: [], msrs: [] };

/** One bundled VMM of a stack. */
export interface VmmChoice {
  readonly kind: "hardware" | "trap_and_emulate" | "binary_translation";
  readonly nested: boolean;
  readonly policy: VmmPolicy;
}

const kinds = ["hardware", "trap_and_emulate", "binary_translation"] as const;

/**
 * Reads a stack without declared policies: `none`, `hardware nested`, `binary_translation under hardware`. Says in
 * words what is wrong with it otherwise.
 */
export function readVmmStack(text: string): readonly VmmChoice[] | string {
  if (text.trim() === "none") return [];
  const stack: VmmChoice[] = [];
  for (const part of text.trim().split(/\s+under\s+/)) {
    const [name, nested, ...more] = part.split(/\s+/);
    const kind = kinds.find((each) => each === name);
    const isNested = nested === "nested";
    if (kind === undefined || more.length > 0 || (nested !== undefined && !(isNested && kind === "hardware"))) {
      return `takes none, ${kinds.join(", ")}, hardware nested, or several joined by "under"; not ${part}`;
    }
    stack.push({ kind, nested: isNested, policy: emptyPolicy });
  }
  return stack;
}

/** The rule for a port or MSR; of several that hold it the last declared counts. */
export function findRange(rules: readonly RangePolicy[], at: number): RangePolicy | undefined {
  return rules.findLast((rule) => rule.start <= at && at <= rule.end);
}

/** The rule for a guest-physical address; of several that hold it the last declared counts. */
export function findMemory(rules: readonly MemoryPolicy[], at: bigint): MemoryPolicy | undefined {
  return rules.findLast((rule) => rule.start <= at && at <= rule.end);
}

/** Something made from range rules, once for all policies that declare the same. */
export function shared<T>(cache: Map<string, T>, rules: readonly RangePolicy[], make: () => T): T {
  const key = rules.map(({ start, end, rights }) => `${start} ${end} ${rights.read} ${rights.write}`).join(";");
  let made = cache.get(key);
  if (made === undefined) {
    made = make();
    cache.set(key, made);
  }
  return made;
}
