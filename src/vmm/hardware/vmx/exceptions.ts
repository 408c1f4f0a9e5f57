// Exceptions, interrupts and NMIs that exit: the VMM gives each to its guest as soon as the guest can take it.
// Intel SDM vol. 3C, "Information for VM Exits Due to Vectored Events" and "... That Occur During Event Delivery".

import type { VmmStop } from "../../bundled.js";
import { eventTypes } from "../exited-guest.js";
import { injectRaised, readEvent } from "./delivery.js";
import { shadowFault } from "./shadow-fault.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const pageFault = 14;

/** EXCEPTION_NMI: an exception that the test asked for, or an NMI. */
export function exceptionOrNmi(vcpu: VmxVcpu): VmmStop | undefined {
  const { guest } = vcpu;
  const { vmx } = guest;
  const event = readEvent(vmx.read(field.exitInterruption), () => vmx.read(field.exitErrorCode));
  if (event.vector === pageFault && event.type === eventTypes.hardwareException && vcpu.shadow) {
    return shadowFault(vcpu, vcpu.shadow);
  }
  guest.classify("public");
  if (event.type === eventTypes.nmi) {
    vcpu.queueNmi();
    return undefined;
  }
  const raised = event.vector === pageFault ? { ...event, cr2: vmx.read(field.exitQualification) } : event;
  return injectRaised(vcpu, raised);
}

/** EXTERNAL_INTERRUPT: acknowledged by the exit, which tells the vector. */
export function externalInterrupt(vcpu: VmxVcpu): undefined {
  vcpu.guest.classify("public");
  vcpu.queueInterrupt(Number(vcpu.guest.vmx.read(field.exitInterruption) & 0xffn));
}

/** INTERRUPT_WINDOW: the VMM's own need, to give the guest an interrupt that it could not take before. */
export function interruptWindow(vcpu: VmxVcpu): undefined {
  vcpu.guest.classify(vcpu.guest.policy.intercepts.includes("INTERRUPT_WINDOW") ? "public" : "internal");
  vcpu.setControl("INTERRUPT_WINDOW_EXITING", false);
}

/** NMI_WINDOW: likewise for an NMI. */
export function nmiWindow(vcpu: VmxVcpu): undefined {
  vcpu.guest.classify(vcpu.guest.policy.intercepts.includes("NMI_WINDOW") ? "public" : "internal");
  vcpu.setControl("NMI_WINDOW_EXITING", false);
}
