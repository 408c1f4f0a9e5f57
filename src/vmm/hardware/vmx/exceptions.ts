// Exceptions, interrupts and NMIs that exit: the VMM gives each to its guest as soon as the guest can take it.
// Intel SDM vol. 3C, "Information for VM Exits Due to Vectored Events" and "... That Occur During Event Delivery".

import type { VmmStop } from "../../bundled.js";
import { combine } from "../events.js";
import { eventTypes, type InjectedEvent } from "../exited-guest.js";
import { shadowFault } from "./shadow-fault.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const valid = 1n << 31n;
const errorCodeValid = 1n << 11n;
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

/** Gives the guest an exception, or what it becomes together with the event whose delivery it interrupted. */
export function injectRaised(vcpu: VmxVcpu, raised: InjectedEvent): VmmStop | undefined {
  const { guest } = vcpu;
  const first = eventInDelivery(vcpu);
  const injected = first ? combine(first, raised) : raised;
  if (injected === undefined) {
    if (guest.events.listening) guest.events.append({ kind: "shutdown", rip: guest.rip });
    return { kind: "shutdown" };
  }
  guest.inject(injected);
  return undefined;
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

/** The event whose delivery the exit interrupted, or undefined. */
function eventInDelivery({ guest: { vmx } }: VmxVcpu): InjectedEvent | undefined {
  const information = vmx.read(field.idtVectoring);
  if ((information & valid) === 0n) return undefined;
  return readEvent(information, () => vmx.read(field.idtVectoringError));
}

/** Takes interruption or vectoring information apart; both have one format. */
function readEvent(information: bigint, errorCode: () => bigint): InjectedEvent {
  return {
    vector: Number(information & 0xffn),
    type: Number((information >> 8n) & 7n),
    ...((information & errorCodeValid) !== 0n && { errorCode: Number(errorCode()) }),
  };
}
