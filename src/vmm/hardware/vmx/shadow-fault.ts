// Page faults of a guest on shadow page tables: most are misses of the VMM's own and are filled (internal exits), some
// are the guest's and go on into it, and some meet a declared memory rule.

import type { VmmStop } from "../../bundled.js";
import { findMemory } from "../../policy.js";
import { denyMemory } from "../memory-denied.js";
import { pageFaultBits } from "../../../isa/index.js";
import { allMemoryRights } from "../identity-tables.js";
import type { PhysicalRights, ShadowTables } from "../shadow-paging.js";
import { injectRaised } from "./delivery.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const vectoringValid = 1n << 31n;

/** A #PF that exited. */
export function shadowFault(vcpu: VmxVcpu, tables: ShadowTables): VmmStop | undefined {
  const { guest } = vcpu;
  const linear = guest.vmx.read(field.exitQualification);
  const errorCode = guest.vmx.read(field.exitErrorCode);
  const state = guest.paging;
  const outcome = tables.ask(state, linear, errorCode);
  if (outcome.kind === "guest") {
    guest.classify(guest.policy.intercepts.includes("#PF") ? "public" : "internal");
    return injectRaised(vcpu, { vector: 14, errorCode: outcome.errorCode, cr2: linear });
  }
  const { mapping } = outcome;
  const access = accessOf(errorCode);
  const rule = findMemory(guest.policy.memory, mapping.physical);
  if (rule && !allows(rule.rights, access)) {
    guest.classify("public");
    if (rule.denied !== "stop" && (guest.vmx.read(field.idtVectoring) & vectoringValid) !== 0n) {
      return vcpu.refuse("the delivery of an event needs memory that the declared policy denies");
    }
    const end = denyMemory(guest, rule, { guestPhysical: mapping.physical, linear, access });
    return end?.kind === "refused" ? vcpu.refuse(end.why) : end;
  }
  guest.classify("internal");
  tables.fill(state, linear, errorCode, mapping, rule?.rights ?? allMemoryRights);
  if ((guest.vmx.read(field.idtVectoring) & vectoringValid) === 0n) vcpu.beginAgain(linear);
  return undefined;
}

function accessOf(errorCode: bigint): "read" | "write" | "execute" {
  if ((errorCode & pageFaultBits.W) !== 0n) return "write";
  return (errorCode & pageFaultBits.I) !== 0n ? "execute" : "read";
}

function allows(rights: PhysicalRights, access: "read" | "write" | "execute"): boolean {
  return { read: rights.read, write: rights.write, execute: rights.execute }[access];
}
