// What both software VMMs do: the guest runs in the outer rings until something brings control to ring 0; the VMM does
// there what the guest's own ring 0 would have done, and the guest goes on.

import { pageFaultBits } from "../../../isa/index.js";
import type { DeliveredEvent } from "../../../machine/index.js";
import type { BundledVmm, GuestProcessor, GuestState, LevelStop, VmmStop } from "../../bundled.js";
import { denyMemory } from "../../hardware/memory-denied.js";
import { ExitBudget } from "../../hardware/exit-budget.js";
import { eventTypes, type InjectedEvent } from "../../hardware/exited-guest.js";
import { allMemoryRights, backingFrame, isGuestMemory } from "../../hardware/identity-tables.js";
import type { ShadowTables } from "../../hardware/shadow-paging.js";
import { findMemory } from "../../policy.js";
import type { GuestMapping } from "../../guest-paging.js";
import type { RingZero } from "../../virtualization.js";
import { emulate, type EmulatedInstruction, type Outcome } from "./emulation.js";
import { fetchInstruction, type GuestInstruction } from "../../emulation/instruction.js";
import { EventFlow, isHardware, raisedBy, type EventPlace } from "./event-flow.js";
import { windowBase } from "./ring-compression.js";
import { SoftwareGuest, type SoftwareGuestParts } from "./software-guest.js";
import { systemCall, systemEnter } from "./system-calls.js";

const vectors = { undefinedOpcode: 6, protection: 13, page: 14 } as const;
/** They raise #UD in place of #GP(0) where ring 0 is wanted. */
const undefinedInOuterRings: ReadonlySet<string> = new Set(["stac", "clac"]);
const idtBit = 2;
const longestInstruction = 15n;

/** Why the guest came back to the VMM. */
export type GuestRun = LevelStop | { readonly kind: "handled" };

/** What a software VMM is made of. */
export interface SoftwareVcpuParts extends SoftwareGuestParts {
  /** Those that the VMM carries out, by mnemonic. */
  readonly instructions: ReadonlyMap<string, EmulatedInstruction>;
}

export abstract class SoftwareVcpu implements BundledVmm {
  readonly guest: SoftwareGuest;
  protected readonly ringZero: RingZero;
  protected readonly flow: EventFlow;
  protected readonly instructions: ReadonlyMap<string, EmulatedInstruction>;
  private readonly shadow: ShadowTables;
  private readonly budget: ExitBudget;

  constructor(parts: SoftwareVcpuParts) {
    this.instructions = parts.instructions;
    this.guest = new SoftwareGuest(parts);
    this.guest.onWrite = (physical) => this.written(physical);
    this.ringZero = parts.ringZero;
    this.shadow = parts.shadow;
    this.flow = new EventFlow(this.guest);
    this.guest.onInterruptReturn = () => this.flow.unblockNmi();
    this.budget = new ExitBudget(parts.processor);
  }

  get state(): GuestState {
    return this.guest;
  }

  get seat(): GuestProcessor {
    return this.guest;
  }

  run(budgetInstructions: number): VmmStop {
    const { budget, guest } = this;
    budget.begin(budgetInstructions);
    for (;;) {
      const ended = this.flow.deliverWaiting() ?? this.refused();
      if (ended) return ended;
      const opens = guest.followInterruptFlag();
      if (guest.halted !== undefined) this.ringZero.halt(guest.halted);
      // An interrupt that has waited for the guest's IF comes before its next instruction, whoever carries that out.
      else if (opens && guest.processor.run(0).kind === "privilege") {
        const over = this.atTransfer() ?? this.refused();
        if (over) return over;
        continue;
      }
      // The instruction in the shadow of STI or MOV SS runs alone, so that what waits comes right behind it.
      const alone = guest.interruptShadow;
      const stop = this.runGuest(alone ? Math.min(1, budget.left) : budget.left);
      if (alone && stop.kind === "budget-spent") guest.interruptShadow = false;
      else if (stop.kind === "handled") {
        const over = this.refused();
        if (over) return over;
      } else if (stop.kind !== "privilege") return withoutExit(stop);
      else {
        const over = this.atTransfer() ?? this.refused();
        if (over) return over;
      }
      if (budget.isSpentAfterExit()) return { kind: "budget-spent" };
    }
  }

  /** Lets the guest run; `handled` where the VMM has done something for it and it goes on. */
  protected abstract runGuest(budgetInstructions: number): GuestRun;

  /** The guest's instruction to which an event belongs. */
  protected instructionRip(event: DeliveredEvent): bigint {
    return event.instructionRip;
  }

  /** An interrupt or NMI that has stopped the guest waits. */
  protected keepInterrupt(rip: bigint): void {
    const transfer = this.ringZero.transfer();
    if (transfer.kind !== "event") return;
    this.flow.tell(raisedBy(transfer), { rip, savedRip: rip }, "public");
    this.flow.keep(transfer);
  }

  /** Control has come to ring 0: does what brought it there, and gives the stop where the guest ends. */
  protected atTransfer(): VmmStop | undefined {
    const { guest } = this;
    const transfer = this.ringZero.transfer();
    guest.interruptShadow = false;
    const { rip } = guest;
    switch (transfer.kind) {
      case "event":
        return this.atEvent(transfer);
      case "sysenter": {
        const fault = systemEnter(guest);
        return fault && this.flow.reflect(fault, { rip, savedRip: rip });
      }
      case "syscall":
        systemCall(guest, rip + 2n);
        return undefined;
      case "gate":
      case "task":
        guest.refusal = transfer.kind === "task" ? "this VMM does not switch tasks" : "this VMM has no call gates";
        return undefined;
    }
  }

  private atEvent(event: DeliveredEvent): VmmStop | undefined {
    const { guest } = this;
    const raised = raisedBy(event);
    const savedRip = guest.rip;
    const place: EventPlace = {
      rip: this.instructionRip(event),
      savedRip,
      ...(event.rule !== undefined && { rule: event.rule }),
    };
    if (event.type === eventTypes.externalInterrupt || event.type === eventTypes.nmi) {
      this.flow.tell(raised, place, "public");
      this.flow.keep(event);
      return undefined;
    }
    if (raised.cr2 !== undefined) return this.atPageFault(raised, raised.cr2, place);
    this.flow.tell(raised, place, "public");
    if (isHardware(raised)) {
      const done = this.emulateFaulting(raised, place);
      if (done !== "not ours") return done === "done" ? undefined : done;
    }
    return this.flow.reflect(raised, place);
  }

  /** A privileged instruction that faulted; "not ours" where the fault is the guest's own. */
  private emulateFaulting(raised: InjectedEvent, place: EventPlace): VmmStop | "done" | "not ours" {
    const { guest } = this;
    if (raised.vector !== vectors.protection && raised.vector !== vectors.undefinedOpcode) return "not ours";
    const instruction = fetchInstruction(guest, place.rip);
    if (instruction === undefined) return "not ours";
    const code = raised.errorCode ?? 0;
    const { mnemonic } = instruction.decoded.value;
    const isUndefined = raised.vector === vectors.undefinedOpcode;
    if (isUndefined !== undefinedInOuterRings.has(mnemonic)) return "not ours";
    if (mnemonic === "int" && (code & idtBit) !== 0) {
      // The guest may have opened the gate since the VMM last looked.
      const ring = guest.cpl === 3 ? 3 : 1;
      return guest.tables.followGate(code >> 3, ring) ? "done" : "not ours";
    }
    return this.carryOut(instruction, place) ?? "not ours";
  }

  /** Carries an instruction out; undefined where it is none of the VMM's, "done" where the guest goes on. */
  protected carryOut(instruction: GuestInstruction, place: EventPlace): VmmStop | "done" | undefined {
    const outcome = emulate(this.guest, instruction, this.instructions);
    return outcome === undefined ? undefined : (this.finish(outcome, place) ?? "done");
  }

  private finish(outcome: Outcome, place: EventPlace): VmmStop | undefined {
    const { guest } = this;
    if (typeof outcome === "object") {
      if ("stop" in outcome) return outcome.stop;
      return this.flow.reflect(outcome.fault, place);
    }
    const { raised } = guest;
    if (raised === undefined) return undefined;
    guest.raised = undefined;
    return this.flow.reflect(raised, { rip: place.rip, savedRip: guest.rip });
  }

  /** A page fault: a miss of the shadow tables, the guest's own, a table that the VMM follows, or a declared rule's. */
  private atPageFault(raised: InjectedEvent, linear: bigint, place: EventPlace): VmmStop | undefined {
    const { guest, shadow } = this;
    const errorCode = BigInt(raised.errorCode ?? 0);
    if (linear >= BigInt(windowBase)) {
      guest.refusal = "the guest uses linear addresses that the VMM keeps for itself";
      return undefined;
    }
    const outcome = shadow.ask(guest, linear, errorCode);
    if (outcome.kind === "guest") {
      const own = { ...raised, errorCode: outcome.errorCode };
      this.flow.tell(own, place, "public");
      return this.flow.reflect(own, place);
    }
    return this.atAllowedAccess(raised, { linear, errorCode, mapping: outcome.mapping }, place);
  }

  /** The guest's own tables allow the access: a declared rule decides, and then the shadow tables follow. */
  private atAllowedAccess(raised: InjectedEvent, access: AllowedAccess, place: EventPlace): VmmStop | undefined {
    const { guest, shadow } = this;
    const { linear, errorCode, mapping } = access;
    const { physical } = mapping;
    const kind = accessOf(errorCode);
    const rule = findMemory(guest.policy.memory, physical);
    if (rule && !rule.rights[kind]) {
      this.flow.tell(raised, place, "public");
      return this.denied(denyMemory(guest, rule, { guestPhysical: physical, linear, access: kind }), place);
    }
    this.flow.tell(raised, place, "internal");
    const hasMemory = isGuestMemory(guest.platform, physical);
    if (!hasMemory && guest.policy.passThrough !== true) {
      guest.refusal = `the guest has no memory at 0x${physical.toString(16)}`;
      return undefined;
    }
    this.beginAgain(place, linear);
    if (!hasMemory) {
      // The machine's own bus answers.
      const bus = { ...mapping, physical: backingFrame(guest.processor, physical) | (physical & 0xfffn) };
      shadow.fill(guest, linear, errorCode, bus, allMemoryRights);
      return undefined;
    }
    const rights = rule?.rights ?? allMemoryRights;
    // No entry says "write and not read".
    if (!rights.read) return this.letThrough(access);
    const followed = this.follows(physical);
    if (followed && kind === "write") return this.letThrough(access);
    shadow.fill(guest, linear, errorCode, mapping, followed ? { ...rights, write: false } : rights);
    return undefined;
  }

  /** How a denied access ended. */
  private denied(end: VmmStop | undefined, place: EventPlace): VmmStop | undefined {
    const { guest } = this;
    if (end?.kind === "refused") {
      guest.refusal = end.why;
      return undefined;
    }
    const { raised } = guest;
    guest.raised = undefined;
    return end ?? (raised && this.flow.reflect(raised, place));
  }

  /** The instruction begins once more after a fault that only the VMM saw: the run's points there are behind it. */
  private beginAgain({ rip }: EventPlace, linear: bigint): void {
    const { guest } = this;
    const start = guest.segment("CS").base + rip;
    const isFetch = linear >= start && linear < start + longestInstruction;
    const physical = isFetch ? undefined : guest.translate(BigInt.asUintN(32, start));
    if (physical !== undefined) this.ringZero.skipPoints(physical);
  }

  /** Whether the VMM must see writes to a page. */
  protected follows(physical: bigint): boolean {
    return this.guest.tables.traces(physical);
  }

  /** A page that is followed has been written. */
  protected written(physical: bigint): void {
    this.guest.tables.written(physical);
  }

  /** An access to a page that no entry can stand for: it is let through alone, and what follows from it is done. */
  private letThrough({ linear, errorCode, mapping }: AllowedAccess): VmmStop | undefined {
    const { guest, shadow } = this;
    shadow.fill(guest, linear, errorCode, mapping, allMemoryRights);
    const stop = guest.processor.run(1);
    guest.forgetTranslations();
    if (accessOf(errorCode) === "write") this.written(mapping.physical);
    if (stop.kind === "budget-spent") return undefined;
    return stop.kind === "privilege" ? this.atTransfer() : withoutExit(stop);
  }

  private refused(): VmmStop | undefined {
    const { refusal: why, events, rip } = this.guest;
    if (why === undefined) return undefined;
    if (events.listening) events.append({ kind: "refuse", rip, note: why });
    return { kind: "refused", why };
  }
}

/** An access that the guest's own page tables allow. */
interface AllowedAccess {
  readonly linear: bigint;
  readonly errorCode: bigint;
  readonly mapping: GuestMapping;
}

function accessOf(code: bigint): "read" | "write" | "execute" {
  if ((code & pageFaultBits.W) !== 0n) return "write";
  return (code & pageFaultBits.I) !== 0n ? "execute" : "read";
}

/** Nothing exits from the outer rings. */
function withoutExit(stop: LevelStop): VmmStop {
  if (stop.kind === "vm-exit") throw new Error("internal error: a guest of a software VMM is in no virtual machine");
  return stop;
}
