// EPT violations. Memory is mapped before the guest starts, so a violation there is a declared rule's doing: the access
// is denied, or the rule covers a part of the page only and the guest may make it with the page opened for one step.
// Intel SDM vol. 3C, "Basic VM-Exit Information", table "Exit Qualification for EPT Violations".

import type { VmmStop } from "../../bundled.js";
import { findMemory, type MemoryPolicy } from "../../policy.js";
import { denyMemory, type RefusedAccess } from "../memory-denied.js";
import { stepWithPageOpen } from "./stepping.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const readBit = 1n;
const writeBit = 2n;
const fetchBit = 4n;
const linearValid = 1n << 7n;
const vectoringValid = 1n << 31n;

/** EPT_VIOLATION. */
export function eptViolation(vcpu: VmxVcpu): VmmStop | undefined {
  const { guest } = vcpu;
  const { vmx } = guest;
  const qualification = vmx.read(field.exitQualification);
  const guestPhysical = vmx.read(field.guestPhysical);
  const rule = findMemory(guest.policy.memory, guestPhysical);
  if (rule === undefined) return outsideMemory(vcpu, guestPhysical, (qualification & fetchBit) !== 0n);
  const refused: RefusedAccess = {
    guestPhysical,
    linear: (qualification & linearValid) === 0n ? undefined : vmx.read(field.guestLinear),
    access: (qualification & writeBit) !== 0n ? "write" : (qualification & fetchBit) !== 0n ? "execute" : "read",
  };
  if (allows(rule, qualification)) {
    guest.classify("internal");
    stepWithPageOpen(vcpu, guestPhysical);
    if ((qualification & fetchBit) === 0n) vcpu.beginAgain();
    return undefined;
  }
  guest.classify("public");
  if (rule.denied !== "stop" && (vmx.read(field.idtVectoring) & vectoringValid) !== 0n) {
    return refuse(vcpu, "the delivery of an event needs memory that the declared policy denies");
  }
  const end = denyMemory(guest, rule, refused);
  return end?.kind === "refused" ? refuse(vcpu, end.why) : end;
}

/** Whether the declared rule allows everything that was attempted. */
function allows({ rights }: MemoryPolicy, qualification: bigint): boolean {
  return (
    ((qualification & readBit) === 0n || rights.read) &&
    ((qualification & writeBit) === 0n || rights.write) &&
    ((qualification & fetchBit) === 0n || rights.execute)
  );
}

/** Beyond the guest's memory the bus answers, or nothing does: the page is mapped when it is first touched. */
function outsideMemory(vcpu: VmxVcpu, guestPhysical: bigint, isFetch: boolean): undefined {
  const { guest } = vcpu;
  guest.classify("internal");
  vcpu.mapHole(guestPhysical);
  if (!isFetch && (guest.vmx.read(field.idtVectoring) & vectoringValid) === 0n) vcpu.beginAgain();
}

function refuse({ guest }: VmxVcpu, why: string): VmmStop {
  if (guest.events.listening) guest.events.append({ kind: "refuse", rip: guest.rip, note: why });
  return { kind: "refused", why };
}
