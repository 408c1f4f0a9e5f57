// Task switches that exit: because the test asked, or because the guest runs on shadow page tables and a switch would load
// CR3 behind the VMM's back. AMD APM vol. 2, "Task Switch Intercept".

import { flagBits } from "../../../isa/index.js";
import type { VmmStop } from "../../bundled.js";
import { instructionLength } from "../instruction-length.js";
import { carryOutSwitch } from "../task-switch.js";
import { eventInDelivery, injectRaised } from "./delivery.js";
import type { SvmVcpu } from "./vcpu.js";

/** Bits of EXITINFO2. */
const bits = { iret: 1n << 36n, jump: 1n << 38n, resume: 1n << 48n } as const;

/** TASK_SWITCH. */
export function taskSwitch(vcpu: SvmVcpu): VmmStop | undefined {
  const { guest, processor } = vcpu;
  const { vmcb } = guest;
  guest.classify(guest.policy.intercepts.includes("TASK_SWITCH") ? "public" : "internal");
  const information = vmcb.get("exitinfo2");
  const cause = eventInDelivery(guest);
  const asked = (information & bits.iret) !== 0n ? "iret" : (information & bits.jump) !== 0n ? "jmp" : "call";
  const source = cause ? "gate" : asked;
  // The old task keeps RF as the exit tells it.
  const flags = vmcb.get("rflags");
  if ((information & bits.resume) !== 0n) vmcb.set("rflags", flags | flagBits.RF);
  const end = carryOutSwitch(guest, processor, {
    selector: Number(vmcb.get("exitinfo1") & 0xffffn),
    source,
    cause,
    lengthBytes: () => instructionLength(guest) ?? 0,
  });
  if (end?.task === "old") {
    vmcb.set("rflags", flags);
    return injectRaised(guest, end.event);
  }
  vcpu.eventIsDelivered();
  vmcb.set("interruptShadow", 0n);
  if (end) guest.inject(end.event);
  return undefined;
}
