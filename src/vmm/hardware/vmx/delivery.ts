// Events on their way into the guest: what an exit interrupted, and what becomes of an exception that came on top.
// Intel SDM vol. 3C, "Information for VM Exits That Occur During Event Delivery".

import type { VmmStop } from "../../bundled.js";
import { combine } from "../events.js";
import type { InjectedEvent } from "../exited-guest.js";
import type { VmxVcpu } from "./vcpu.js";
import { field } from "./vmcs-fields.js";

const valid = 1n << 31n;
const errorCodeValid = 1n << 11n;

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

/** The event whose delivery the exit interrupted, or undefined. */
export function eventInDelivery({ guest: { vmx } }: VmxVcpu): InjectedEvent | undefined {
  const information = vmx.read(field.idtVectoring);
  if ((information & valid) === 0n) return undefined;
  return readEvent(information, () => vmx.read(field.idtVectoringError));
}

/** Takes interruption or vectoring information apart; both have one format. */
export function readEvent(information: bigint, errorCode: () => bigint): InjectedEvent {
  return {
    vector: Number(information & 0xffn),
    type: Number((information >> 8n) & 7n),
    ...((information & errorCodeValid) !== 0n && { errorCode: Number(errorCode()) }),
  };
}
