// Where the time goes: the cost of a run, computed from its events and the processor's figures (isa/costs.ts).
//
// Guest instructions count as they retire. A hardware exit costs its transition, whoever handles it; what the bundled
// VMM then does is told by the exit's class and by the events that follow. Nothing here changes what a guest sees.

import { costTable, type CostTable, type Platform } from "../isa/index.js";
import type { RunEvent } from "../program/index.js";

/** Cycles by what they were spent on. */
export interface Cost {
  /** Instructions and deliveries of events, by guest. */
  readonly guests: ReadonlyMap<string, bigint>;
  /** Exits and entries of the hardware, and traps into a software VMM. */
  readonly transitions: bigint;
  /** The bundled VMM's own work, but for the two below. */
  readonly vmm: bigint;
  /** Its work on shadow page tables. */
  readonly shadowing: bigint;
  /** Its device models. */
  readonly devices: bigint;
  readonly total: bigint;
  /** Hardware exits, and traps into a software VMM. */
  readonly exits: number;
}

/** What a run is besides its events. */
export interface CostInput {
  readonly platform: Platform;
  /** Under a bundled VMM exits to guests are its own second telling of the same exit. */
  readonly bundled: boolean;
}

const shadowSubjects: ReadonlySet<string> = new Set(["EXCEPTION_NMI", "EXCP14", "CR_ACCESS", "INVLPG"]);
const deviceSubjects: ReadonlySet<string> = new Set(["IO_INSTRUCTION", "IOIO", "APIC_ACCESS", "APIC_WRITE"]);

/** Sums up events one after the other; `cost` may be asked for in between. */
export class CostMeter {
  private readonly table: CostTable;
  private readonly guests = new Map<string, bigint>();
  private transitions = 0n;
  private vmm = 0n;
  private shadowing = 0n;
  private devices = 0n;
  private exits = 0;
  private retired = 0n;

  constructor(private readonly input: CostInput) {
    this.table = costTable(input.platform.cpu);
  }

  /** Takes the next event of the run. */
  take(event: RunEvent): void {
    this.run(event.guest, event.retired);
    switch (event.kind) {
      case "exit":
        return this.exit(event);
      case "trap":
      case "interrupt":
        return this.trap(event);
      case "enter":
        if (this.input.bundled) this.vmm += cycles(this.table.reflect);
        return;
      case "emulate":
        this.vmm += cycles(this.table.emulate);
        return;
      case "inject":
        this.vmm += cycles(this.table.inject);
        return;
      default:
        return;
    }
  }

  /** The guest has come to this instruction count. */
  run(guest: string, retired: bigint): void {
    if (retired <= this.retired) return;
    this.spend(guest, (retired - this.retired) * cycles(this.table.instruction));
    this.retired = retired;
  }

  get cost(): Cost {
    const { transitions, vmm, shadowing, devices, exits } = this;
    const inGuests = [...this.guests.values()].reduce((sum, each) => sum + each, 0n);
    const total = inGuests + transitions + vmm + shadowing + devices;
    return { guests: new Map(this.guests), transitions, vmm, shadowing, devices, total, exits };
  }

  private exit(event: RunEvent): void {
    const { dispatch, shadow, device, reflect, transition } = this.table;
    if (this.input.bundled && event.to !== "vmm") {
      this.vmm += cycles(reflect);
      return;
    }
    this.exits++;
    this.transitions += cycles(transition);
    if (!this.input.bundled) return;
    this.vmm += cycles(dispatch);
    const subject = event.subject ?? "";
    if (event.class === "internal" && shadowSubjects.has(subject)) this.shadowing += cycles(shadow);
    if (deviceSubjects.has(subject)) this.devices += cycles(device);
  }

  private trap(event: RunEvent): void {
    if (event.to !== "vmm") return this.spend(event.guest, cycles(this.table.delivery));
    this.exits++;
    this.transitions += cycles(this.table.softwareTrap);
    this.vmm += cycles(this.table.dispatch);
    if (event.class === "internal" && event.subject === "#PF") this.shadowing += cycles(this.table.shadow);
  }

  private spend(guest: string, spent: bigint): void {
    this.guests.set(guest, (this.guests.get(guest) ?? 0n) + spent);
  }
}

/** The cost of a whole run. */
export function costOf(events: readonly RunEvent[], instructions: bigint, input: CostInput): Cost {
  const meter = new CostMeter(input);
  for (const event of events) meter.take(event);
  meter.run(events.at(-1)?.guest ?? "guest", instructions);
  return meter.cost;
}

/** What `cycles(NAME)` can ask for: guests by name, `guest` for all of them, and the VMM's parts. */
export function costByName({ guests, transitions, vmm, shadowing, devices, total }: Cost): ReadonlyMap<string, bigint> {
  const inGuests = [...guests.values()].reduce((sum, each) => sum + each, 0n);
  const named = { guest: inGuests, transitions, vmm, shadowing, devices, total };
  return new Map([...Object.entries(named), ...guests]);
}

const cycles = ({ cycles: count }: { readonly cycles: number }): bigint => BigInt(count);
