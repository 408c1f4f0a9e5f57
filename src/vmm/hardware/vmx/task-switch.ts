// Task switches, which exit on VT-x whatever the controls say. Intel SDM vol. 3C, "Treatment of Task Switches", and "Basic
// VM-Exit Information", table "Exit Qualification for Task Switches".

import type { VmmStop } from "../../bundled.js";
import { carryOutSwitch } from "../task-switch.js";
import { eventInDelivery, injectRaised } from "./delivery.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const sources = ["call", "iret", "jmp", "gate"] as const;
const shadows = 3n;
const blockedByNmi = 8n;

/** TASK_SWITCH. */
export function taskSwitch(vcpu: VmxVcpu): VmmStop | undefined {
  const { guest, processor } = vcpu;
  const { vmx } = guest;
  guest.classify("public");
  const qualification = vmx.read(field.exitQualification);
  const source = sources[Number((qualification >> 30n) & 3n)] ?? "gate";
  const end = carryOutSwitch(guest, processor, {
    selector: Number(qualification & 0xffffn),
    source,
    cause: source === "gate" ? eventInDelivery(vcpu) : undefined,
    lengthBytes: () => vmx.read32(field.exitInstructionLength),
  });
  if (end?.task === "old") return injectRaised(vcpu, end.event);
  vcpu.eventIsDelivered();
  const blocking = vmx.read(field.interruptibility) & ~shadows;
  vmx.write(field.interruptibility, source === "iret" ? blocking & ~blockedByNmi : blocking);
  vmx.write(field.activity, 0n);
  if (end) guest.inject(end.event);
  return undefined;
}
