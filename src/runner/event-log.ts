// The stream of one run: raw records of the core and events of the host side become RunEvents, in one sequence.

import type { Vendor } from "../isa/index.js";
import { decodeEvent, layout, type Machine, type RawEvent } from "../machine/index.js";
import type { ExitClass, Point, Program, RunEvent } from "../program/index.js";
import type { VmmEvents } from "../vmm/index.js";
import { bundledVmm, Parties } from "./parties.js";

/** An event of the host side; the log knows the rest. */
export type HostEvent = Partial<RunEvent> & Pick<RunEvent, "kind" | "rip">;

/** What the delivery of an exception says besides its event. */
export interface Delivery {
  readonly event: RunEvent;
  readonly vector: number;
  /** The saved RIP is that of the next instruction: a trap, not a fault. */
  readonly trapClass: boolean;
}

const savedRipIsNext = 1n << 9n;

/** Events of one run, in order. */
export class EventLog implements VmmEvents {
  readonly listening = true;
  readonly events: RunEvent[] = [];
  /** The last exception or interrupt that was delivered. */
  lastDelivery: Delivery | undefined;
  private readonly parties: Parties;
  private readonly points: readonly Point[];
  private readonly vendor: Vendor;

  constructor(
    private readonly machine: Machine,
    program: Program,
    private readonly bundled: boolean,
  ) {
    this.parties = new Parties(program.image);
    this.points = program.plan.points;
    this.vendor = machine.platform.cpu.vendor;
  }

  /** Takes over what the core has recorded since the last time. */
  drain(): void {
    this.machine.drainEvents((raw) => this.take(raw));
  }

  /** Appends an event of the host side after everything that the core has recorded. */
  append(event: HostEvent): RunEvent {
    this.drain();
    const whole: RunEvent = {
      guest: this.parties.guestAt(event.rip, 0n),
      fields: {},
      retired: this.machine.retired,
      ...event,
    };
    this.events.push(whole);
    return whole;
  }

  /** Says of the exit that just stopped the run which class it is of, and that the bundled VMM has it. */
  classify(exitClass: ExitClass): void {
    this.drain();
    const last = this.events.length - 1;
    const exit = this.events[last];
    if (exit?.kind === "exit") this.events[last] = { ...exit, to: bundledVmm, class: exitClass };
  }

  private take(raw: RawEvent): void {
    if (raw.kind === layout.EVENT_VISIT) {
      this.takeVisit(raw);
      return;
    }
    // Every entry of the hardware is the bundled VMM's own where there is one; it tells what its guest must see.
    if (raw.kind === layout.EVENT_ENTER && this.bundled) return;
    const guest = this.parties.guestAt(raw.rip, raw.context);
    const event: RunEvent = { ...decodeEvent(raw, this.vendor), guest, ...this.party(raw, guest) };
    if (event.kind === "trap" || event.kind === "interrupt") {
      this.lastDelivery = { event, vector: raw.code, trapClass: (raw.d & savedRipIsNext) !== 0n };
    }
    this.events.push(event);
  }

  /** Receiver of an exit, and the name of the guest that an entry starts. */
  private party(raw: RawEvent, guest: string): Partial<RunEvent> {
    if (raw.kind === layout.EVENT_EXIT) return { to: this.parties.receiver(raw.context) };
    if (raw.kind === layout.EVENT_ENTER) return { subject: this.parties.entered(raw.a, guest, raw.b) };
    return {};
  }

  private takeVisit(raw: RawEvent): void {
    const point = this.points[raw.code];
    if (point?.kind !== "visit") return;
    this.events.push({
      kind: "visit",
      fields: {},
      guest: point.guest,
      rip: raw.rip,
      retired: raw.retired,
      index: point.line,
    });
  }
}
