// The guest's processor as a run acts on it between two instructions, where the processor does not hold the guest's own
// state: the guest is taken out of it first.

import { flagBits } from "../../isa/index.js";
import type { SegmentState } from "../../program/index.js";
import type { GuestProcessor } from "../bundled.js";
import type { LevelVcpu } from "../stack/level.js";
import type { Processor, SegmentRegisterName } from "../virtualization.js";

export class VcpuSeat implements GuestProcessor {
  constructor(
    private readonly processor: Processor,
    private readonly vcpu: LevelVcpu & { readonly state: { translate(linear: bigint): bigint | undefined } },
    /** Whether the processor holds something else than the guest's own registers. */
    private readonly isSeated: () => boolean = () => false,
  ) {}

  /** Where the guest's own state is. */
  private get own(): Pick<Processor, "setRegister" | "segment" | "setSegment"> {
    const { vcpu, processor } = this;
    return vcpu.isInGuest && !this.isSeated() ? processor : vcpu.suspend();
  }

  register(name: string): bigint {
    return this.vcpu.state.register(name);
  }

  setRegister(name: string, value: bigint): void {
    this.own.setRegister(name, value);
  }

  segment(name: SegmentRegisterName): SegmentState {
    return this.own.segment(name);
  }

  setSegment(name: SegmentRegisterName, state: SegmentState): void {
    this.own.setSegment(name, state);
  }

  get cpl(): number {
    if ((this.register("RFLAGS") & flagBits.VM) !== 0n) return 3;
    return (this.segment("SS").rights >> 5) & 3;
  }

  translate(linear: bigint): bigint | undefined {
    return this.vcpu.state.translate(linear);
  }

  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    return this.processor.readPhysical(address, lengthBytes);
  }
}
