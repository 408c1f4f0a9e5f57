// Ring 0 as the host program owns it: a bundled VMM that runs its guest in the outer rings, without virtualization.
//
// The descriptor tables, the TSS and the page tables that the VMM has put into memory are the processor's; what it does
// between two runs is the code of ring 0. A transfer of control there (exception, interrupt, INT n, gate, task, fast
// system call) goes through the tables with every check of the manual, and ends the run where it would change state.

import { assert } from "../base/index.js";
import type { CoreExports } from "./core-module.js";
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
  readonly core: Pick<CoreExports, "passPointsAt" | "hasPointAt">;
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

  /** HLT at a RIP: the next run waits for an interrupt, or ends as halted and tells of it. */
  halt(rip: bigint): void {
    this.#setWord(cpu.activity, layout.ACTIVITY_HLT);
    this.host.view.setBigUint64(layout.CPU_BASE + cpu.haltRip.offset, rip, true);
    this.host.invalidate();
  }

  /** One instruction more of the guest has been carried out, by the host program: its time passes. */
  retire(): void {
    const { view } = this.host;
    const at = layout.CPU_BASE + cpu.retired.offset;
    view.setBigUint64(at, view.getBigUint64(at, true) + 1n, true);
  }

  /** Whether a point lies at a physical address. */
  hasPoint(address: bigint): boolean {
    return this.host.core.hasPointAt(address) !== 0;
  }

  /**
   * The host program carries out the instruction at RIP, which lies at this physical address: its points are passed as
   * in a run. Gives the index of a stop point; the next call there passes it.
   */
  passPoints(address: bigint): number | undefined {
    return this.host.core.passPointsAt(address) === 0 ? undefined : this.#word(cpu.stopDetail);
  }

  /** The instruction at a physical address begins once more: its points are behind it. */
  skipPoints(address: bigint): void {
    this.host.view.setBigUint64(layout.CPU_BASE + cpu.stoppedAt.offset, address, true);
  }

  /** The host program's translated code lies here: what it has besides its guest's instructions takes no time. */
  setTranslatedCode(address: bigint, lengthBytes: number): void {
    assert(lengthBytes <= layout.OVERHEAD_BYTES * 8, "the bits suffice for the translated code");
    this.host.view.setBigUint64(layout.CPU_BASE + cpu.overheadBase.offset, address, true);
    this.#setWord(cpu.overheadBytes, lengthBytes);
    new Uint8Array(this.host.view.buffer, layout.OVERHEAD_BASE, Math.ceil(lengthBytes / 8)).fill(0);
  }

  /** The instruction at an offset of the translated code is the host program's own, or its guest's. */
  markOverhead(offset: number, isOverhead: boolean): void {
    const at = layout.OVERHEAD_BASE + (offset >> 3);
    const bit = 1 << (offset & 7);
    const byte = this.host.view.getUint8(at);
    this.host.view.setUint8(at, isOverhead ? byte | bit : byte & ~bit);
  }

  #word(field: { readonly offset: number }): number {
    return this.host.view.getUint32(layout.CPU_BASE + field.offset, true);
  }

  #setWord(field: { readonly offset: number }, value: number): void {
    this.host.view.setUint32(layout.CPU_BASE + field.offset, value, true);
  }
}
