// Guests in real mode on processors without "unrestricted guest": in virtual-8086 mode as long as that does the same, else
// one instruction after the other, carried out by the VMM or by ring 0 of protected mode in a step.
//
// Interrupts and exceptions exit, and the VMM enters the handler of the guest's interrupt table itself. What faults in
// virtual-8086 mode (I/O, HLT, control registers, an offset beyond 64 KiB) is run once more in a step, where it does what
// it does in every other mode: it exits where the policy says so.

import { exceptionByVector, flagBits } from "../../../../isa/index.js";
import type { LevelStop } from "../../../bundled.js";
import { fetchInstruction, type GuestInstruction } from "../../../emulation/instruction.js";
import type { Processor, RingZero } from "../../../virtualization.js";
import { combine, injectedSubject } from "../../events.js";
import { eventTypes, type InjectedEvent } from "../../exited-guest.js";
import { readEvent } from "../delivery.js";
import { field } from "../vmcs-fields.js";
import type { VmxVcpu } from "../vcpu.js";
import { Blocks } from "./blocks.js";
import { castsShadow, interruptVector, realModeInstructions } from "./instructions.js";
import { RealGuest } from "./real-guest.js";
import { fitsVirtual8086, needsProtectedSeat, Seat, type SeatKind } from "./seat.js";

const vectors = { debug: 1, nmi: 2, undefinedOpcode: 6, stack: 12, protection: 13, page: 14 } as const;
const valid = 1n << 31n;
const paging = { protectedMode: 1n } as const;
const exceptionOrNmi = 0;
const haltActivity = 1n;
/** Bits of the exit qualification of #DB, and of DR6. */
const debugBits = 0xfn;
const singleStep = 1n << 14n;
const breakpointsEnabled = 0xffn;
/** A hardware exception #DB, as exit information tells it. */
const debugException = 0x8000_0301;
const plainLimit = 4096;
/** Instructions that the VMM calls without a name of their own in the manuals' exception types. */
const softwareTypes: ReadonlySet<number> = new Set([eventTypes.softwareInterrupt, 5, eventTypes.softwareException]);

/** Whether the guest can be entered, has got on without that, or is left to someone else. */
export type Prepared = "enter" | "again" | LevelStop;

export class RealMode {
  private readonly seat: Seat;
  private readonly real: RealGuest;
  private readonly blocks: Blocks;
  /** RIP of an instruction that virtual-8086 mode could not do. */
  private unfit: bigint | undefined;
  /** The instruction to which a trap belongs that waits for its delivery. */
  private trapped: bigint | undefined;

  constructor(
    private readonly vcpu: VmxVcpu,
    private readonly processor: Processor,
    private readonly ringZero: RingZero,
  ) {
    this.seat = new Seat(vcpu.guest, vcpu.setup.vectoredEvents);
    this.real = new RealGuest(vcpu.guest, processor);
    this.blocks = new Blocks(this.real, processor, BigInt(vcpu.guest.platform.memoryBytes));
  }

  get isSeated(): boolean {
    return this.seat.kind !== undefined && this.seat.kind !== "protected";
  }

  /** RFLAGS of the running guest by what the processor holds. */
  ownFlags(real: bigint): bigint {
    return this.seat.ownFlags(real);
  }

  /** Before VM entry: gives the guest a seat where the processor would not take it. */
  prepare(): Prepared {
    const { guest } = this.vcpu;
    const { vmx } = guest;
    if (this.seat.kind !== undefined) return "enter";
    if ((vmx.read(field.cr0Shadow) & paging.protectedMode) !== 0n) {
      if (needsProtectedSeat(guest)) this.seat.take("protected");
      return "enter";
    }
    const over = this.deliverWaiting();
    if (over) return over;
    if (vmx.read(field.activity) === haltActivity) return this.sit("wait");
    const flags = vmx.read(field.rflags);
    const isWatched = (flags & flagBits.TF) !== 0n || (vmx.read(field.dr7) & breakpointsEnabled) !== 0n;
    const fits = fitsVirtual8086(guest);
    if (this.unfit !== guest.rip && !isWatched && fits) return this.sit("virtual8086");
    const stops = isWatched || fits || !this.isFree ? undefined : this.blocks.stopsFrom(guest.rip);
    if (stops === undefined) return this.doNext();
    this.seat.takeUntil(stops);
    return "enter";
  }

  /** After a VM exit or a suspension: the VMCS holds the guest's own state again. */
  leave(): SeatKind | undefined {
    return this.seat.leave();
  }

  /** A step that is over and is followed by another one keeps the seat; false where the exit is to be looked at. */
  continues(basicReason: number): boolean {
    const { vcpu, seat } = this;
    const { guest } = vcpu;
    const { vmx } = guest;
    if (seat.kind !== "step" || basicReason !== exceptionOrNmi || seat.ownStep) return false;
    if (vmx.read32(field.exitInterruption) !== debugException) return false;
    if (vmx.read(field.exitQualification) !== singleStep || (vmx.read32(field.interruptibility) & 3) !== 0)
      return false;
    const rip = guest.rip;
    if (!this.isPlain(rip) || this.blocks.stopsFrom(rip) !== undefined) return false;
    guest.classify("internal");
    seat.keep();
    this.unfit = rip;
    this.stepped = rip;
    return true;
  }

  /** Whether a step does what the instruction at RIP asks for. */
  private isPlain(rip: bigint): boolean {
    const { guest } = this.vcpu;
    const at = BigInt.asUintN(32, guest.segment("CS").base + rip);
    if (at + 16n > BigInt(guest.platform.memoryBytes)) return false;
    const [low, high] = [this.processor.readU64(at), this.processor.readU64(at + 8n)];
    const known = this.plain.get(rip);
    if (known?.low === low && known.high === high) return known.isPlain;
    const instruction = fetchInstruction(this.real, rip);
    const isPlain = instruction === undefined || !this.isOurs(instruction);
    if (this.plain.size >= plainLimit) this.plain.clear();
    this.plain.set(rip, { low, high, isPlain });
    return isPlain;
  }

  /** What is known of instructions by RIP, as long as their bytes stay. */
  private readonly plain = new Map<bigint, { low: bigint; high: bigint; isPlain: boolean }>();

  /** What only the seat has caused, or an exception of real mode; false where it is an exit like any other. */
  take(kind: SeatKind | undefined, basicReason: number): boolean {
    const { guest } = this.vcpu;
    const { vmx } = guest;
    if (kind === undefined || kind === "protected") return false;
    const begun = this.unfit;
    this.unfit = undefined;
    if (basicReason !== exceptionOrNmi) return false;
    const event = readEvent(vmx.read(field.exitInterruption), () => 0n);
    const { vector } = event;
    if (event.type === eventTypes.nmi) return false;
    if (vector === vectors.page) {
      this.unfit = begun;
      return false;
    }
    const isMissing = kind === "virtual8086" && !softwareTypes.has(event.type ?? 0);
    if (
      isMissing &&
      (vector === vectors.protection || vector === vectors.stack || vector === vectors.undefinedOpcode)
    ) {
      guest.classify("internal");
      this.unfit = guest.rip;
      return true;
    }
    const name = exceptionByVector(vector)?.name;
    const isAsked = name !== undefined && guest.policy.intercepts.includes(name);
    if (vector === vectors.debug && kind === "run") {
      guest.classify("internal");
      return true;
    }
    if (vector === vectors.debug && !softwareTypes.has(event.type ?? 0)) {
      this.atDebug(vmx.read(field.exitQualification), isAsked);
      return true;
    }
    guest.classify(isAsked ? "public" : "internal");
    guest.inject({ vector, ...(event.type !== undefined && { type: event.type }) });
    return true;
  }

  /** Nothing waits for the end of an instruction. */
  private get isFree(): boolean {
    return (this.vcpu.guest.vmx.read(field.interruptibility) & 3n) === 0n;
  }

  private sit(kind: SeatKind): "enter" {
    this.seat.take(kind);
    return "enter";
  }

  /** The end of a step, or a breakpoint: an exit for #DB leaves DR6 and DR7 to the VMM. */
  private atDebug(qualification: bigint, isAsked: boolean): void {
    const { guest } = this.vcpu;
    const isStepped = (guest.register("RFLAGS") & flagBits.TF) !== 0n;
    const bits = (qualification & debugBits) | (isStepped ? qualification & singleStep : 0n);
    guest.classify(isAsked && bits !== 0n ? "public" : "internal");
    if (bits !== 0n) this.raiseDebug(bits);
  }

  private raiseDebug(bits: bigint): void {
    const { guest } = this.vcpu;
    guest.setRegister("DR6", (guest.register("DR6") & ~debugBits) | bits);
    guest.inject({ vector: vectors.debug }, this.stepped);
    this.trapped = this.stepped;
  }

  /** RIP of the instruction that the last step was for. */
  private stepped: bigint | undefined;

  /** Carries the next instruction out, or gives it a seat for one step. */
  private doNext(): Prepared {
    const { vcpu, real, ringZero } = this;
    const { guest } = vcpu;
    const rip = guest.rip;
    const hasBegun = this.unfit === rip;
    const instruction = fetchInstruction(real, rip);
    const physical = BigInt.asUintN(32, guest.segment("CS").base + rip);
    this.stepped = rip;
    if (instruction !== undefined) {
      const point = hasBegun || !this.isOurs(instruction) ? undefined : ringZero.passPoints(physical);
      if (point !== undefined) return { kind: "point", index: point };
      const carried = this.carryOut(instruction);
      if (carried) {
        this.unfit = undefined;
        return carried;
      }
    }
    // A window for interrupts would open before the step where a shadow holds it closed.
    for (const window of ["INTERRUPT_WINDOW_EXITING", "NMI_WINDOW_EXITING"] as const) {
      if (vcpu.controlIsSet(window)) vcpu.setControl(window, false);
    }
    if (hasBegun) ringZero.skipPoints(physical);
    this.unfit = rip;
    return this.sit("step");
  }

  private isOurs(instruction: GuestInstruction): boolean {
    return realModeInstructions.has(instruction.decoded.value.mnemonic) || interruptVector(instruction) !== undefined;
  }

  /** Undefined where a step in ring 0 does the same. */
  private carryOut(instruction: GuestInstruction): Prepared | undefined {
    const { real, ringZero } = this;
    const { guest } = this.vcpu;
    const { length, value } = instruction.decoded;
    const isStepped = (real.flags & flagBits.TF) !== 0n;
    const vector = interruptVector(instruction);
    if (vector !== undefined) {
      ringZero.retire();
      const savedRip = instruction.rip + BigInt(length);
      return this.deliver({ vector, type: eventTypes.softwareInterrupt }, instruction.rip, savedRip) ?? "again";
    }
    const outcome = realModeInstructions.get(value.mnemonic)?.(real, instruction);
    if (outcome === undefined) return undefined;
    if (typeof outcome === "object") {
      guest.inject({ vector: outcome.fault.vector });
      return "again";
    }
    ringZero.retire();
    if (outcome === "done") guest.setRegister("RIP", BigInt.asUintN(real.codeBits, instruction.rip + BigInt(length)));
    real.endShadows();
    if (castsShadow(instruction)) real.holdInterruptsBack();
    else if (isStepped) this.raiseDebug(singleStep);
    return "again";
  }

  /** An event for the guest goes through its interrupt table; gives the stop where nothing more can come of it. */
  private deliverWaiting(): LevelStop | undefined {
    const { guest } = this.vcpu;
    const { vmx } = guest;
    const pending = vmx.read(field.pendingDebug);
    if (pending !== 0n) {
      // A step that an emulated instruction was to end with.
      vmx.write(field.pendingDebug, 0n);
      if ((vmx.read(field.entryInterruption) & valid) === 0n) this.raiseDebug(pending & (debugBits | singleStep));
    }
    const information = vmx.read(field.entryInterruption);
    if ((information & valid) === 0n) return undefined;
    vmx.write(field.entryInterruption, 0n);
    const event = readEvent(information, () => 0n);
    const isSoftware = softwareTypes.has(event.type ?? 0);
    const savedRip = isSoftware ? guest.rip + vmx.read(field.entryInstructionLength) : guest.rip;
    const rip = this.trapped ?? guest.rip;
    this.trapped = undefined;
    return this.deliver(event, rip, savedRip);
  }

  /** Enters the handler of an event that belongs to the instruction at `rip`, or of what that becomes. */
  private deliver(event: InjectedEvent, rip: bigint, savedRip: bigint): LevelStop | undefined {
    const { events } = this.vcpu.guest;
    for (;;) {
      const fault = this.real.deliver(event.vector, savedRip);
      if (fault === undefined) break;
      const next = combine(event, { vector: fault.vector });
      if (next === undefined) {
        if (events.listening) events.append({ kind: "shutdown", rip });
        return { kind: "shutdown" };
      }
      event = { vector: next.vector };
      savedRip = rip;
    }
    if (event.type === eventTypes.nmi) this.real.blockNmi(true);
    this.tell(event, rip, savedRip !== rip);
    return undefined;
  }

  private tell(event: InjectedEvent, rip: bigint, trapClass: boolean): void {
    const { guest } = this.vcpu;
    if (!guest.events.listening) return;
    const isInterrupt = event.type === eventTypes.externalInterrupt || event.type === eventTypes.nmi;
    const subject = injectedSubject(event);
    const isDebug = event.vector === vectors.debug && !softwareTypes.has(event.type ?? 0);
    const fields = isDebug ? { dr6: guest.register("DR6") & (debugBits | singleStep) } : subject.fields;
    const delivery = { vector: event.vector, trapClass };
    guest.events.append({ kind: isInterrupt ? "interrupt" : "trap", ...subject, fields, rip, delivery });
  }
}
