// `ring 3 { … }` in the bundled lowering: the switch at the block's first address, and the way back at its end.
//
// No instruction does it and no byte is taken (docs/decisions/0003). The block starts with the registers and flags
// that it finds, on its own stack, with IOPL 0. What it computes stays; stack, privilege and IOPL are as before it.

import { flagBits } from "../isa/index.js";
import type { Point, SegmentState } from "../program/index.js";
import type { GuestProcessor } from "../vmm/index.js";
import { hideFromOuterRing } from "./segment-load.js";

/** What the end of the block puts back. */
interface Outside {
  readonly cs: SegmentState;
  readonly ss: SegmentState;
  readonly rsp: bigint;
  readonly iopl: bigint;
}

/** The ring switches of one run. Blocks do not nest: a block inside ring 3 code is already there. */
export class RingSwitches {
  private outside: Outside | undefined;

  constructor(private readonly machine: GuestProcessor) {}

  /** At the block's first address. Reaching it again from inside the block changes nothing. */
  enter(point: Extract<Point, { kind: "ring-enter" }>): void {
    const { machine } = this;
    if (machine.cpl === 3) return;
    const flags = machine.register("RFLAGS");
    this.outside = {
      cs: machine.segment("CS"),
      ss: machine.segment("SS"),
      rsp: machine.register("RSP"),
      iopl: flags & flagBits.IOPL,
    };
    machine.setSegment("CS", point.cs);
    machine.setSegment("SS", point.ss);
    hideFromOuterRing(machine, 3);
    machine.setRegister("RFLAGS", flags & ~flagBits.IOPL);
    machine.setRegister("RSP", point.stack);
  }

  /** At the block's end. Reaching it past a block that was jumped over changes nothing. */
  leave(): void {
    const { machine, outside } = this;
    if (outside === undefined) return;
    machine.setSegment("CS", outside.cs);
    machine.setSegment("SS", outside.ss);
    machine.setRegister("RSP", outside.rsp);
    machine.setRegister("RFLAGS", machine.register("RFLAGS") | outside.iopl);
    this.outside = undefined;
  }
}
