// Events of a guest on their way: what the processor handed to the VMM, what waits, and what goes on into the guest.
//
// Every exception, interrupt and INT n of the outer rings arrives at the VMM, because all gates of the IDT lead there.
// The VMM tells of it, and reflects into the guest what is the guest's own.

import type { DeliveredEvent } from "../../../machine/index.js";
import type { ExitClass } from "../../../program/index.js";
import type { VmmStop } from "../../bundled.js";
import { combine, injectedSubject } from "../../hardware/events.js";
import { eventTypes, type InjectedEvent } from "../../hardware/exited-guest.js";
import { deliver } from "./delivery.js";
import type { SoftwareGuest } from "./software-guest.js";

const nmiVector = 2;
const debugVector = 1;
const pageFaultVector = 14;

/** Where an event belongs: the instruction, and the RIP that its frame saves. */
export interface EventPlace {
  readonly rip: bigint;
  readonly savedRip: bigint;
  readonly rule?: string;
}

export class EventFlow {
  /** Vectors that the interrupt controller has given and the guest has not taken. */
  private readonly interrupts: number[] = [];
  private nmi = false;
  private nmiBlocked = false;

  constructor(private readonly guest: SoftwareGuest) {}

  /** Whether something waits that the guest would take now. */
  get hasDeliverable(): boolean {
    const { guest } = this;
    if (this.nmi && !this.nmiBlocked) return true;
    return this.interrupts.length > 0 && guest.interruptFlag && !guest.interruptShadow;
  }

  /** An external interrupt or NMI came while the guest ran. */
  keep(event: DeliveredEvent): void {
    if (event.type === eventTypes.nmi) this.nmi = true;
    else this.interrupts.push(event.vector);
  }

  /** IRET ends the blocking of NMIs. */
  unblockNmi(): void {
    this.nmiBlocked = false;
  }

  /** Gives the guest what waits, where it takes it now. */
  deliverWaiting(): VmmStop | undefined {
    if (!this.hasDeliverable) return undefined;
    const { rip } = this.guest;
    const place = { rip, savedRip: rip };
    if (this.nmi && !this.nmiBlocked) {
      this.nmi = false;
      this.nmiBlocked = true;
      return this.reflect({ vector: nmiVector, type: eventTypes.nmi }, place);
    }
    const vector = this.interrupts.shift() ?? 0;
    return this.reflect({ vector, type: eventTypes.externalInterrupt }, place);
  }

  /** Tells what the processor has handed to the VMM. */
  tell(event: InjectedEvent, place: EventPlace, exitClass: ExitClass): void {
    const { events } = this.guest;
    if (!events.listening) return;
    const { rip, rule } = place;
    const more = { rip, to: "vmm", class: exitClass, ...(rule !== undefined && { rule }) };
    events.append({ kind: kindOf(event), ...injectedSubject(event), ...more });
  }

  /** Delivers an event to the guest, and what becomes of it where that faults. */
  reflect(event: InjectedEvent, place: EventPlace): VmmStop | undefined {
    const { guest } = this;
    const { events } = guest;
    let current = event;
    let { savedRip } = place;
    for (;;) {
      if (current.cr2 !== undefined) guest.cr2 = current.cr2;
      const isFault = isHardware(current) && (current.vector !== debugVector || savedRip === place.rip);
      const end = deliver(guest, { ...current, savedRip, isFault });
      if (end === undefined) break;
      if ("refused" in end) {
        guest.refusal = end.refused;
        return undefined;
      }
      const next = combine(current, end.fault);
      if (next === undefined) {
        if (events.listening) events.append({ kind: "shutdown", rip: place.rip });
        return { kind: "shutdown" };
      }
      // A fault in the delivery of INT n belongs to that instruction, which has not completed.
      if (!isHardware(current)) savedRip = place.rip;
      current = next;
    }
    this.tellDelivered(current, place, savedRip);
    return undefined;
  }

  private tellDelivered(event: InjectedEvent, place: EventPlace, savedRip: bigint): void {
    const { events } = this.guest;
    if (!events.listening) return;
    const { rip, rule } = place;
    const delivery = { vector: event.vector, trapClass: savedRip !== rip };
    const more = { rip, delivery, ...(rule !== undefined && { rule }) };
    const subject = injectedSubject(event);
    events.append({ kind: "inject", ...subject, rip });
    const isDebug = event.vector === debugVector && isHardware(event);
    const fields = isDebug ? { dr6: this.guest.register("DR6") } : subject.fields;
    events.append({ kind: kindOf(event), ...subject, fields, ...more });
  }
}

/** Page faults carry their address, other exceptions only their code. */
export function raisedBy(event: DeliveredEvent): InjectedEvent {
  const { vector, type, errorCode, detail } = event;
  const isPageFault = vector === pageFaultVector && type === eventTypes.hardwareException;
  return {
    vector,
    type,
    ...(errorCode !== undefined && { errorCode }),
    ...(isPageFault && { cr2: detail }),
  };
}

/** An exception that the processor raises, as opposed to an interrupt or one of the INT instructions. */
export function isHardware(event: InjectedEvent): boolean {
  return (event.type ?? eventTypes.hardwareException) === eventTypes.hardwareException;
}

function kindOf(event: InjectedEvent): "trap" | "interrupt" {
  return event.type === eventTypes.externalInterrupt || event.type === eventTypes.nmi ? "interrupt" : "trap";
}
