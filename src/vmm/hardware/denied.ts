// How an access ends that the declared policy denies, where the instruction is known: skip, fault or stop.

import type { VmmStop } from "../bundled.js";
import type { DeniedAction } from "../policy.js";
import type { ExitedGuest, InjectedEvent } from "./exited-guest.js";

/** Carries out a `denied` action; gives the stop where the guest ends. */
export function deniedEnd(guest: ExitedGuest, action: DeniedAction, fault: InjectedEvent): VmmStop | undefined {
  switch (action) {
    case "stop":
      return { kind: "stopped" };
    case "fault":
      guest.inject(fault);
      return undefined;
    case "skip":
      guest.advance();
      return undefined;
  }
}
