// A task switch that exited, whatever the vendor: the VMM carries it out and tells of it.

import { flagBits } from "../../isa/index.js";
import { switchTask, type TaskFault, type TaskSource } from "../emulation/task-switch.js";
import type { Processor } from "../virtualization.js";
import { injectedSubject } from "./events.js";
import { eventTypes, type InjectedEvent } from "./exited-guest.js";
import type { GuestBase } from "./guest-base.js";
import { operandGuest } from "./operand-guest.js";

/** What exit information says of a switch. */
export interface ExitedSwitch {
  readonly selector: number;
  readonly source: TaskSource;
  /** The event that a gate of the IDT was for. */
  readonly cause: InjectedEvent | undefined;
  /** Bytes of the instruction that asked for it, where one did. */
  readonly lengthBytes: () => number;
}

/** Carries it out; gives the fault that it ends in. */
export function carryOutSwitch(guest: GuestBase, processor: Processor, to: ExitedSwitch): TaskFault | undefined {
  const { selector, source, cause, lengthBytes } = to;
  const { rip } = guest;
  const isAsked = cause === undefined || isSoftware(cause);
  const savedRip = isAsked ? rip + BigInt(lengthBytes()) : rip;
  // An exit of the VMM's own, before the instruction could be done, has set RF: it ends with the instruction.
  const flags = guest.register("RFLAGS");
  if (isAsked) guest.setRegister("RFLAGS", flags & ~flagBits.RF);
  const errorCode = cause?.errorCode;
  const end = switchTask(operandGuest(guest, processor), {
    selector,
    source,
    savedRip,
    external: !isAsked,
    ...(errorCode !== undefined && { errorCode }),
  });
  if (end?.task === "old") guest.setRegister("RFLAGS", flags);
  else tell(guest, { rip, selector, cause, isTrap: savedRip !== rip });
  return end;
}

/** INT n, INT3, INTO and INT1, as opposed to what the processor or a device raises. */
const isSoftware = ({ type }: InjectedEvent): boolean => (type ?? 0) >= eventTypes.softwareInterrupt;

interface Told {
  readonly rip: bigint;
  readonly selector: number;
  readonly cause: InjectedEvent | undefined;
  readonly isTrap: boolean;
}

function tell({ events }: GuestBase, { rip, selector, cause, isTrap }: Told): void {
  if (!events.listening) return;
  events.append({ kind: "emulate", subject: "TASK_SWITCH", rip });
  events.append({ kind: "task_switch", rip, fields: { selector: BigInt(selector) } });
  if (cause === undefined) return;
  const isInterrupt = cause.type === eventTypes.externalInterrupt || cause.type === eventTypes.nmi;
  const delivery = { vector: cause.vector, trapClass: isTrap };
  events.append({ kind: isInterrupt ? "interrupt" : "trap", ...injectedSubject(cause), rip, delivery });
}
