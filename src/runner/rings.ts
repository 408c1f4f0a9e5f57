// `ring 3 { … }` in the bundled lowering: the switch at the block's first address, and the way back at its end.
//
// No instruction does it and no byte is taken (docs/decisions/0003). The block starts with the registers and flags
// that it finds, on its own stack, with IOPL 0; afterwards registers, flags and segments are as before the block.

import { assert } from "../base/index.js";
import type { Machine } from "../machine/index.js";
import type { Point, SegmentName, SegmentState } from "../program/index.js";
import { hideFromOuterRing } from "./segment-load.js";

interface Saved {
  readonly registers: readonly bigint[];
  readonly segments: readonly SegmentState[];
}

const saved = [
  "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
  "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "RFLAGS",
] as const; // prettier-ignore
const segmentNames: readonly SegmentName[] = ["ES", "CS", "SS", "DS", "FS", "GS"];
const flagIopl = 3n << 12n;

/** The ring switches of one run. Blocks do not nest: a block inside ring 3 code is already there. */
export class RingSwitches {
  private before: Saved | undefined;

  constructor(private readonly machine: Machine) {}

  /** At the block's first address. Reaching it again from inside the block changes nothing. */
  enter(point: Extract<Point, { kind: "ring-enter" }>): void {
    const machine = this.machine;
    if (machine.cpl === 3) return;
    this.before = {
      registers: saved.map((name) => machine.register(name)),
      segments: segmentNames.map((name) => machine.segment(name)),
    };
    machine.setSegment("CS", point.cs);
    machine.setSegment("SS", point.ss);
    hideFromOuterRing(machine, 3);
    machine.setRegister("RFLAGS", machine.register("RFLAGS") & ~flagIopl);
    machine.setRegister("RSP", point.stack);
  }

  /** At the block's end. Reaching it past a block that was jumped over changes nothing. */
  leave(): void {
    if (this.before === undefined) return;
    const { registers, segments } = this.before;
    segmentNames.forEach((name, i) => {
      const segment = segments[i];
      assert(segment, "every segment was saved");
      this.machine.setSegment(name, segment);
    });
    saved.forEach((name, i) => this.machine.setRegister(name, registers[i] ?? 0n));
    this.before = undefined;
  }
}
