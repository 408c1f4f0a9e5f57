// Ring 0 as the host program owns it: a bundled VMM that runs its guest in the outer rings, without virtualization.
//
// The descriptor tables, the TSS and the page tables that the VMM has put into memory are the processor's; what it does
// between two runs is the code of ring 0. A transfer of control there (exception, interrupt, INT n, gate, task, fast
// system call) goes through the tables with every check of the manual, and ends the run where it would change state.

import * as layout from "./layout.generated.js";
import { cpuLayout as cpu } from "./layout.generated.js";
import { ruleIdByNumber } from "../isa/index.js";

/** An event that the processor was about to deliver through the IDT. */
export interface DeliveredEvent {
  readonly kind: "event";
  readonly vector: number;
  /** A `TYPE_` number of the layout, as the manual's interruption types. */
  readonly type: number;
  readonly errorCode?: number;
  /** For #PF the linear address, for #DB the new bits of DR6. */
  readonly detail: bigint;
  /** RIP of the instruction that it belongs to; the register holds the RIP that a frame would save. */
  readonly instructionRip: bigint;
  readonly rule?: string;
}

/** What was about to pass control to ring 0; in the other cases RIP is that of the instruction. */
export type Transfer = DeliveredEvent | { readonly kind: "gate" | "task" | "syscall" | "sysenter" };

/** What these operations need of a machine. */
export interface RingZeroHost {
  readonly view: DataView;
  invalidate(): void;
}

const kinds = {
  [layout.TRANSFER_GATE]: "gate",
  [layout.TRANSFER_TASK]: "task",
  [layout.TRANSFER_SYSCALL]: "syscall",
  [layout.TRANSFER_SYSENTER]: "sysenter",
} as const;

/** Operations of ring 0. */
export class RingZeroOperations {
  constructor(private readonly host: RingZeroHost) {}

  /** The host program is the code of ring 0 from here to the reset. */
  start(): void {
    this.#setWord(cpu.ring0Hosted, 1);
  }

  /** What ended the run with `privilege`. */
  transfer(): Transfer {
    const { view } = this.host;
    const kind = kinds[this.#word(cpu.stopDetail) as keyof typeof kinds];
    if (kind !== undefined) return { kind };
    const rule = ruleIdByNumber(this.#word(cpu.rule));
    return {
      kind: "event",
      vector: this.#word(cpu.deliveringVector),
      type: this.#word(cpu.deliveringType),
      detail: view.getBigUint64(layout.CPU_BASE + cpu.faultLinear.offset, true),
      instructionRip: view.getBigUint64(layout.CPU_BASE + cpu.instructionRip.offset, true),
      ...(this.#word(cpu.deliveringHasError) !== 0 && { errorCode: this.#word(cpu.deliveringError) }),
      ...(rule !== undefined && { rule }),
    };
  }

  /** HLT: the next run waits for an interrupt, or ends as halted. */
  halt(): void {
    this.#setWord(cpu.activity, layout.ACTIVITY_HLT);
    this.host.invalidate();
  }

  /** One instruction more of the guest has been carried out, by the host program: its time passes. */
  retire(): void {
    const { view } = this.host;
    const at = layout.CPU_BASE + cpu.retired.offset;
    view.setBigUint64(at, view.getBigUint64(at, true) + 1n, true);
  }

  #word(field: { readonly offset: number }): number {
    return this.host.view.getUint32(layout.CPU_BASE + field.offset, true);
  }

  #setWord(field: { readonly offset: number }, value: number): void {
    this.host.view.setUint32(layout.CPU_BASE + field.offset, value, true);
  }
}
