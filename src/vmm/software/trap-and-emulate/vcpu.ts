// `trap_and_emulate`: whatever the guest does runs as it is. What traps is carried out by the VMM; what does not trap goes
// wrong, and that is the point.

import type { LevelStop } from "../../bundled.js";
import { SoftwareVcpu } from "../shared/software-vcpu.js";

export class TrapAndEmulateVcpu extends SoftwareVcpu {
  protected runGuest(budgetInstructions: number): LevelStop {
    return this.guest.processor.run(budgetInstructions);
  }
}
