// What every bundled VMM is to the run that uses it: it runs its guest until something ends or interrupts that.

import type { Stop } from "../machine/index.js";
import type { ExitClass, EventKind, FieldValue, SegmentState } from "../program/index.js";
import type { SegmentRegisterName } from "./virtualization.js";

/** A guest's state, wherever it is: in the processor while the guest runs, in the VMM's structures while it does not. */
export interface GuestState {
  /** General registers, RIP, RFLAGS, control registers and EFER by their 64-bit names, as the guest would read them. */
  register(name: string): bigint;
  readMsr(address: number): bigint;
  /** By the guest's own paging; undefined where it maps nothing. */
  translate(linear: bigint): bigint | undefined;
  /** A field of the VMCS that the guest has made current, where the guest uses VMX that the VMM gives it. */
  readonly readVmcs?: (encoding: number) => bigint;
  /** Address of the VMCB of the guest's last VMRUN, where the guest uses SVM that the VMM gives it. */
  readonly currentVmcb?: bigint | undefined;
}

/** A guest's processor between two instructions, as the guest would have it, for a run that acts on its guest. */
export interface GuestProcessor {
  register(name: string): bigint;
  setRegister(name: string, value: bigint): void;
  segment(name: SegmentRegisterName): SegmentState;
  setSegment(name: SegmentRegisterName, state: SegmentState): void;
  readonly cpl: number;
  /** By the guest's own paging; undefined where it maps nothing. */
  translate(linear: bigint): bigint | undefined;
  readPhysical(address: bigint, lengthBytes: number): Uint8Array;
}

/** What a VMM tells of its own doing, and of what happens in a guest whose events it delivers itself. */
export interface VmmEvent {
  readonly kind: Extract<
    EventKind,
    "inject" | "emulate" | "refuse" | "halt" | "shutdown" | "fail" | "reject" | "trap" | "interrupt" | "task_switch"
  >;
  readonly subject?: string;
  readonly fields?: Readonly<Record<string, FieldValue>>;
  readonly rip: bigint;
  readonly to?: string;
  readonly note?: string;
  /** Id of the rule that did not hold. */
  readonly rule?: string;
  /** For traps to the VMM: `internal` where neither policy asks for it. */
  readonly class?: ExitClass;
  /** For a trap or interrupt that was delivered to the guest. */
  readonly delivery?: { readonly vector: number; readonly trapClass: boolean };
}

/** What an exit is for the guest that it goes on to, where it is another one than the VMM had. */
export interface ReflectedExit {
  readonly subject: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** Where a VMM's events go. A VMM whose sink does not listen tells nothing and pays nothing. */
export interface VmmEvents {
  readonly listening: boolean;
  /** The class of the exit that the core has just recorded. */
  classify(exitClass: ExitClass): void;
  append(event: VmmEvent): void;
  /** An entry carried out for a guest at `rip`: the guest's VMCS, and where that one's own guest begins. */
  entered(rip: bigint, context: bigint, guestRip: bigint): void;
  /**
   * The exit that the core has just recorded goes on to the guest that entered with this VMCS: as it is, or as another
   * one that follows from it.
   */
  reflect(context: bigint, as?: ReflectedExit): void;
  /** Makes room for more events of the core. */
  drain(): void;
  /** The sink of a VMM so many places outside of this one, the innermost. */
  outside(places: number): VmmEvents;
}

/** Why a VMM returned: what stops a machine, the end of its guest by policy, or what it cannot do. */
export type VmmStop =
  | Exclude<Stop, { kind: "vm-exit" }>
  /** The declared policy says `stop`. */
  | { readonly kind: "stopped" }
  | { readonly kind: "refused"; readonly why: string };

/** What stops a level of a stack: also an exit that a VMM on that level has. */
export type LevelStop = VmmStop | { readonly kind: "vm-exit" };

/** A bundled VMM with the one guest that it runs. */
export interface BundledVmm {
  /** Runs the guest for at most so many instructions. */
  run(budgetInstructions: number): VmmStop;
  readonly state: GuestState;
  /** Where the processor does not hold the guest's own state while the guest runs. */
  readonly seat?: GuestProcessor;
}

/** A sink for runs that nobody watches. */
export const silent: VmmEvents = {
  listening: false,
  classify: () => {},
  append: () => {},
  entered: () => {},
  reflect: () => {},
  drain: () => {},
  outside: () => silent,
};
