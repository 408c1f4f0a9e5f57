// The stream of one run: raw records of the core and events of the host side become RunEvents, in one sequence.

import { ruleIdByNumber, type Vendor } from "../isa/index.js";
import { eventKind, eventNames, layout, type Machine, type RawEvent } from "../machine/index.js";
import type { ExitClass, Point, Program, RunEvent } from "../program/index.js";
import type { VmmEvent, ReflectedExit, VmmEvents } from "../vmm/index.js";
import { bundledVmm, Parties } from "./parties.js";

/** An event of the host side; the log knows the rest. */
export type HostEvent = Partial<RunEvent> & Pick<RunEvent, "kind" | "rip">;

/** An event as long as it is the log's own. */
type OwnEvent = { -readonly [Key in keyof RunEvent]: RunEvent[Key] };

/** What the delivery of an exception says besides its event. */
export interface Delivery {
  readonly event: RunEvent;
  readonly vector: number;
  /** The saved RIP is that of the next instruction: a trap, not a fault. */
  readonly trapClass: boolean;
}

const noFields: RunEvent["fields"] = {};
const savedRipIsNext = 1n << 9n;

/** What only some events of the host side say. Spreading, which copies whatever there is, costs as much as an exit. */
const sometimesSaid = ["subject", "to", "class", "rule", "index", "values", "note"] as const;

function say<Name extends keyof OwnEvent>(event: OwnEvent, name: Name, from: Partial<OwnEvent>): void {
  const value = from[name];
  if (value !== undefined) event[name] = value;
}

/** Events of one run, in order. */
export class EventLog implements VmmEvents {
  readonly listening = true;
  readonly events: OwnEvent[] = [];
  /** The last exception or interrupt that was delivered. */
  lastDelivery: Delivery | undefined;
  /** Under a stack of VMMs, innermost first: the exit that came through to each. The core records the outermost's. */
  private readonly handed: OwnEvent[] = [];
  private readonly parties: Parties;
  private readonly points: readonly Point[];
  private readonly vendor: Vendor;

  constructor(
    private readonly machine: Machine,
    program: Program,
    /** How many bundled VMMs run one on another. */
    private readonly depth: number,
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
  append(event: HostEvent & Pick<VmmEvent, "delivery">): RunEvent {
    this.drain();
    const { kind, rip, guest = this.parties.guestAt(rip, 0n), fields = noFields, delivery } = event;
    const whole: OwnEvent = { kind, guest, fields, rip, retired: this.machine.retired };
    for (const name of sometimesSaid) say(whole, name, event);
    this.events.push(whole);
    if (delivery) this.lastDelivery = { event: whole, ...delivery };
    return whole;
  }

  /** Says of the exit that just stopped the run which class it is of, and that the bundled VMM has it. */
  classify(exitClass: ExitClass): void {
    this.classifyExit(this.exitAt(0), exitClass);
  }

  /** The exit that a VMM of the stack has. */
  private exitAt(place: number): OwnEvent | undefined {
    this.drain();
    return place === this.depth - 1 ? this.events[this.events.length - 1] : this.handed[place];
  }

  private classifyExit(exit: OwnEvent | undefined, exitClass: ExitClass): void {
    if (exit?.kind !== "exit") return;
    exit.to = bundledVmm;
    exit.class = exitClass;
  }

  /** What an outer VMM does is internal to the test; only its exits are kept, and why it ended. */
  outside(place: number): VmmEvents {
    return {
      listening: true,
      classify: (exitClass) => this.classifyExit(this.exitAt(place), exitClass === "assist" ? "assist" : "internal"),
      append: (event) => {
        if (event.kind === "refuse" || event.kind === "shutdown" || event.kind === "halt") this.append(event);
      },
      entered: () => {},
      reflect: (_context, as) => {
        const exit = this.exitAt(place);
        if (exit?.kind !== "exit") return;
        const inner = { ...exit, ...as };
        this.handed[place - 1] = inner;
        this.events.push(inner);
      },
      drain: () => this.drain(),
      outside: (further) => this.outside(place + further),
    };
  }

  /** An entry that the bundled VMM carried out for a guest. */
  entered(rip: bigint, context: bigint, guestRip: bigint): void {
    this.drain();
    const subject = this.parties.entered(context, this.parties.guestAt(rip, 0n), guestRip);
    this.append({ kind: "enter", rip, subject });
  }

  /** The exit that the bundled VMM has is also one of a guest's guest: the same exit, to the guest that entered. */
  reflect(context: bigint, as?: ReflectedExit): void {
    const last = this.exitAt(0);
    if (last?.kind !== "exit") return;
    const { class: _, ...exit } = last;
    this.events.push({ ...exit, ...as, to: this.parties.receiver(context) });
  }

  private take(raw: RawEvent): void {
    if (raw.kind === layout.EVENT_VISIT) {
      this.takeVisit(raw);
      return;
    }
    // Entries of the hardware, refused or not, are the bundled VMM's own where there is one; it tells what its guest
    // must see.
    if (this.depth > 0 && (raw.kind === layout.EVENT_ENTER || raw.kind === layout.EVENT_REJECT)) return;
    const kind = eventKind(raw);
    const { subject, fields } = eventNames(kind, raw, this.vendor);
    const { rip, retired } = raw;
    const guest = this.parties.guestAt(rip, raw.context);
    // One literal, completed in place: this runs for every event of every run, and spreading costs microseconds.
    const event: OwnEvent = { kind, guest, fields, rip, retired };
    if (subject !== undefined) event.subject = subject;
    if (raw.rule !== 0) {
      const rule = ruleIdByNumber(raw.rule);
      if (rule !== undefined) event.rule = rule;
    }
    if (kind === "exit") event.to = this.parties.receiver(raw.context);
    // An entry's subject is the guest that it starts.
    if (kind === "enter") event.subject = this.parties.entered(raw.a, guest, raw.b);
    if (event.kind === "trap" || event.kind === "interrupt") {
      this.lastDelivery = { event, vector: raw.code, trapClass: (raw.d & savedRipIsNext) !== 0n };
    }
    this.events.push(event);
  }

  private takeVisit(raw: RawEvent): void {
    const point = this.points[raw.code];
    if (point?.kind !== "visit") return;
    this.events.push({
      kind: "visit",
      fields: noFields,
      guest: point.guest,
      rip: raw.rip,
      retired: raw.retired,
      index: point.line,
    });
  }
}
