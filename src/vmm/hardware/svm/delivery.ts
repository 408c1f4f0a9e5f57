// Events on their way into the guest: what a #VMEXIT interrupted, and what becomes of an exception that came on top.
// AMD APM vol. 2, "EXITINTINFO".

import type { VmmStop } from "../../bundled.js";
import { combine } from "../events.js";
import type { InjectedEvent } from "../exited-guest.js";
import type { SvmGuest } from "./svm-guest.js";

const valid = 1n << 31n;
const errorCodeValid = 1n << 11n;

/** Gives the guest an exception, or what it becomes together with the event whose delivery it interrupted. */
export function injectRaised(guest: SvmGuest, raised: InjectedEvent): VmmStop | undefined {
  const first = eventInDelivery(guest);
  const injected = first ? combine(first, raised) : raised;
  if (injected === undefined) {
    if (guest.events.listening) guest.events.append({ kind: "shutdown", rip: guest.rip });
    return { kind: "shutdown" };
  }
  guest.inject(injected);
  return undefined;
}

/** The event whose delivery the exit cut short, or undefined. */
export function eventInDelivery({ vmcb }: SvmGuest): InjectedEvent | undefined {
  const information = vmcb.get("exitintinfo");
  return (information & valid) === 0n ? undefined : readEvent(information);
}

function readEvent(information: bigint): InjectedEvent {
  return {
    vector: Number(information & 0xffn),
    type: Number((information >> 8n) & 7n),
    ...((information & errorCodeValid) !== 0n && { errorCode: Number(information >> 32n) }),
  };
}
