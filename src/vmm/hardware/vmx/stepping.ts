// One instruction of the guest with something lifted: an exit that the test asked for, or a page that a rule covers in
// part. The monitor trap flag gives control back right after it (SDM vol. 3C, "Monitor Trap Flag").

import type { VmmStop } from "../../bundled.js";
import { controlsOf } from "./intercepts.js";
import type { VmxVcpu } from "./vcpu.js";

const monitorTrapFlag = "MONITOR_TRAP_FLAG";

/** Lets the guest carry out the instruction that exited. */
export function stepOver(vcpu: VmxVcpu, exit: string): void {
  const lifted = controlsOf(exit).filter((name) => vcpu.controlIsSet(name));
  for (const name of lifted) vcpu.setControl(name, false);
  vcpu.beginAgain();
  beginStep(vcpu, () => {
    for (const name of lifted) vcpu.setControl(name, true);
  });
  vcpu.guest.emulated(exit);
}

/** Lets the guest make an access that the declared rule allows but the page's entry cannot. */
export function stepWithPageOpen(vcpu: VmxVcpu, guestPhysical: bigint): void {
  const restore = vcpu.openPage(guestPhysical);
  beginStep(vcpu, restore);
}

function beginStep(vcpu: VmxVcpu, after: () => void): void {
  const already = vcpu.controlIsSet(monitorTrapFlag);
  vcpu.setControl(monitorTrapFlag, true);
  vcpu.afterStep(() => {
    if (!already) vcpu.setControl(monitorTrapFlag, false);
    after();
  });
}

/** MONITOR_TRAP_FLAG: the end of a step. */
export function monitorTrap(vcpu: VmxVcpu): VmmStop | undefined {
  vcpu.guest.classify(vcpu.guest.policy.intercepts.includes(monitorTrapFlag) ? "public" : "internal");
  vcpu.endStep();
  return undefined;
}
