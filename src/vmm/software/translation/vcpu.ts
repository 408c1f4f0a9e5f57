// `binary_translation`: code of the guest's kernel never runs as it is. What is not sensitive runs in a translation, the
// rest the VMM carries out, so that the guest sees what its own processor would show. Code of ring 3 runs directly.

import type { Stop } from "../../../machine/index.js";
import type { VmmStop } from "../../bundled.js";
import { fetchInstruction, type GuestInstruction } from "../shared/emulation.js";
import { linearOf } from "../shared/operands.js";
import type { SoftwareGuestParts } from "../shared/software-guest.js";
import { SoftwareVcpu } from "../shared/software-vcpu.js";
import { isSensitive, sensitiveInstructions } from "./sensitive.js";

export class TranslationVcpu extends SoftwareVcpu {
  constructor(parts: SoftwareGuestParts) {
    super(parts, sensitiveInstructions);
  }

  protected runGuest(budgetInstructions: number): Stop | VmmStop | { readonly kind: "handled" } {
    const { guest } = this;
    if (guest.cpl === 3) return guest.processor.run(budgetInstructions);
    return this.step();
  }

  /** One instruction of the kernel: where it is, unless it is sensitive. */
  private step(): Stop | VmmStop | { readonly kind: "handled" } {
    const { guest } = this;
    const { rip } = guest;
    const instruction = fetchInstruction(guest, rip);
    if (instruction === undefined || !isSensitive(instruction)) return this.stepInPlace();
    return this.carryOutAt(instruction) ?? this.stepInPlace();
  }

  /** One instruction in the guest's own memory: a single step of the VMM's. */
  private stepInPlace(): Stop | { readonly kind: "handled" } {
    const stop = this.guest.processor.run(1);
    if (stop.kind !== "budget-spent") return stop;
    this.guest.interruptShadow = false;
    return { kind: "handled" };
  }

  /** Carries out a sensitive instruction at RIP, its points passed; undefined where the case at hand is not sensitive. */
  private carryOutAt(instruction: GuestInstruction): VmmStop | { readonly kind: "handled" } | undefined {
    const { guest, ringZero } = this;
    const { rip } = instruction;
    const at = linearOf(guest, "CS", rip, 1);
    const physical = "fault" in at ? undefined : guest.translate(at.linear);
    const point = physical === undefined ? undefined : ringZero.passPoints(physical);
    if (point !== undefined) return { kind: "point", index: point };
    const done = this.carryOut(instruction, { rip, savedRip: rip });
    return done === "done" ? { kind: "handled" } : done;
  }
}
