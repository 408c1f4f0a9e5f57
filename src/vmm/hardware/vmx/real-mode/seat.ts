// How a processor without "unrestricted guest" holds a guest that stands in real mode, or on its way out of it: VM entry
// wants protected mode, so the guest sits in another mode that does the same. Intel SDM vol. 3C, "Checks on Guest Segment
// Registers", "Restrictions on VMX Operation"; vol. 3A, "8086 Emulation".
//
// A seat is taken right before an entry and left right after the exit: between the two the VMCS holds the guest's own
// state, valid for an entry or not, and no handler knows of seats.

import { cr4Bits, flagBits, vmcsEncoding } from "../../../../isa/index.js";
import type { SegmentState } from "../../../../program/index.js";
import type { SegmentRegisterName } from "../../../virtualization.js";
import { field } from "../vmcs-fields.js";
import type { VmxGuest } from "../vmx-guest.js";

/**
 * - `virtual8086`: real mode at full speed, while each segment is one of virtual-8086 mode. What the two modes do in
 *   different ways faults there, because IOPL is 0 and CPL is 3.
 * - `step`: one instruction of real mode in ring 0 of protected mode, with whatever segments the guest has.
 * - `run`: the same without a stop, up to instruction breakpoints (blocks.ts); DR0 to DR3 and DR7 are lent for it.
 * - `wait`: the same without the end after one instruction, for a processor that waits in HLT.
 * - `protected`: a guest that has set CR0.PE and still has segments of real mode.
 */
export type SeatKind = "virtual8086" | "step" | "run" | "wait" | "protected";

const names = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
const rightsCode = 0x08;
const rightsExpandDown = 0x04;
const rightsPresent = 0x80;
const rightsSegment = 0x10;
const rightsBig = 1 << 14;
const rightsPages = 1 << 15;
const dpl3 = 0x60;
const writableData = 3;
const readableCode = 0xb;
const virtual8086Rights = 0xf3;
/** No I/O permission bitmap lies within such a limit: every port faults in virtual-8086 mode. */
const shortTss: SegmentState = { selector: 0, base: 0n, limitBytes: 0, rights: 0x8b };
/** What virtual-8086 mode would use in another way: IOPL, and AC, which counts in ring 3 only. */
const hiddenFlags = flagBits.IOPL | flagBits.AC | flagBits.VIF | flagBits.VIP;
const hiddenCr4 = cr4Bits.VME | cr4Bits.PVI | cr4Bits.TSD;
const branchStep = 2n;
const exceptionBitmap = vmcsEncoding("EXCEPTION_BITMAP");
const everyException = 0xffff_ffffn;

/** Fields that a seat changes for its time; the guest cannot change them while it sits. */
const lentFields = [exceptionBitmap, field.pinControls, field.cr4, field.debugctl, field.interruptibility] as const;
const breakpoints = ["DR0", "DR1", "DR2", "DR3"] as const;
const noBreakpoints = 0x400n;
interface Held {
  readonly kind: SeatKind;
  readonly own: ReadonlyMap<SegmentRegisterName, SegmentState>;
  readonly lent: ReadonlyMap<SegmentRegisterName, SegmentState>;
  readonly fields: ReadonlyMap<number, bigint>;
  readonly rflags: bigint;
  /** The guest's DR0 to DR3 and DR7, where they are lent. */
  debug?: readonly bigint[];
  rip: bigint;
}

export class Seat {
  private held: Held | undefined;

  constructor(
    private readonly guest: VmxGuest,
    /** Controls by which interrupts and NMIs come to the VMM, which has the guest's table to send them through. */
    private readonly vectoredEvents: number,
  ) {}

  get kind(): SeatKind | undefined {
    return this.held?.kind;
  }

  /** RFLAGS of the guest while it sits, by what the processor holds. */
  ownFlags(real: bigint): bigint {
    const { held } = this;
    if (held?.kind === "step") return (real & ~flagBits.TF) | (held.rflags & flagBits.TF);
    // A breakpoint sets RF in what the exit saves.
    if (held?.kind === "run") return real & ~flagBits.RF;
    if (held?.kind !== "virtual8086") return real;
    return (real & ~(hiddenFlags | flagBits.VM)) | (held.rflags & hiddenFlags);
  }

  take(kind: SeatKind): void {
    const { guest } = this;
    const { vmx } = guest;
    const rflags = vmx.read(field.rflags);
    const fields = kind === "protected" ? [] : lentFields;
    const own = new Map<SegmentRegisterName, SegmentState>(names.map((name) => [name, guest.segment(name)]));
    const lent = new Map<SegmentRegisterName, SegmentState>();
    for (const [name, segment] of own) {
      lent.set(name, kind === "virtual8086" ? virtual8086(segment) : inRingZero(name, segment, kind));
    }
    if (kind === "virtual8086") {
      own.set("TR", guest.segment("TR"));
      lent.set("TR", shortTss);
    }
    this.held = {
      kind, own, lent, rflags, rip: guest.rip, fields: new Map(fields.map((place) => [place, vmx.read(place)])),
    }; // prettier-ignore
    for (const [name, segment] of lent) guest.setSegment(name, segment);
    if (kind === "protected") return;
    vmx.write(exceptionBitmap, everyException);
    vmx.write(field.pinControls, vmx.read(field.pinControls) | BigInt(this.vectoredEvents));
    vmx.write(field.cr4, vmx.read(field.cr4) & ~hiddenCr4);
    if (kind === "virtual8086") vmx.write(field.rflags, (rflags & ~hiddenFlags) | flagBits.VM);
    else if (kind === "step") {
      vmx.write(field.rflags, rflags | flagBits.TF);
      vmx.write(field.debugctl, vmx.read(field.debugctl) & ~branchStep);
      // A shadow of STI or MOV SS would hold the step back; it ends with this instruction anyway.
      vmx.write(field.interruptibility, vmx.read(field.interruptibility) & ~3n);
    }
  }

  /** Takes a seat in which the guest runs up to instruction breakpoints at linear addresses, four at most. */
  takeUntil(stops: readonly bigint[]): void {
    const { guest } = this;
    this.take("run");
    if (this.held) this.held.debug = [...breakpoints, "DR7"].map((name) => guest.register(name));
    stops.forEach((at, i) => guest.setRegister(breakpoints[i] ?? "DR3", at));
    guest.setRegister(
      "DR7",
      stops.reduce((enabled, _, i) => enabled | (1n << BigInt(2 * i)), noBreakpoints),
    );
  }

  /** The seat stays for another step, of the instruction at RIP. */
  keep(): void {
    if (this.held) this.held.rip = this.guest.rip;
  }

  /** Whether the guest itself steps. */
  get ownStep(): boolean {
    return this.held !== undefined && (this.held.rflags & flagBits.TF) !== 0n;
  }

  /** The VMCS holds the guest's own state again; gives the kind of seat that it had. */
  leave(): SeatKind | undefined {
    const { held, guest } = this;
    if (held === undefined) return undefined;
    const { vmx } = guest;
    const { kind, own } = held;
    for (const [name, lent] of held.lent) guest.setSegment(name, this.after(name, lent, own.get(name)));
    [...breakpoints, "DR7"].forEach((name, i) => {
      const value = held.debug?.[i];
      if (value !== undefined) guest.setRegister(name, value);
    });
    if (kind !== "protected") {
      vmx.write(field.rflags, this.ownFlags(vmx.read(field.rflags)));
      const shadows = vmx.read(field.interruptibility);
      for (const [place, value] of held.fields) vmx.write(place, value);
      // What happened to the shadows while the guest sat stays, but for one that a step was to end and did not.
      const stays = kind === "step" && guest.rip === held.rip;
      vmx.write(
        field.interruptibility,
        stays ? shadows | ((held.fields.get(field.interruptibility) ?? 0n) & 3n) : shadows,
      );
    }
    this.held = undefined;
    return kind;
  }

  /** A segment register after the seat: the guest's own where nothing has loaded it meanwhile. */
  private after(name: SegmentRegisterName, lent: SegmentState, own: SegmentState = lent): SegmentState {
    const now = this.guest.segment(name);
    if (this.held?.kind === "virtual8086" && name !== "TR") {
      return now.selector === lent.selector ? own : loadedInRealMode(own, now.selector);
    }
    return isSame(now, lent) ? own : now;
  }
}

const isSame = (a: SegmentState, b: SegmentState): boolean =>
  a.selector === b.selector && a.base === b.base && a.limitBytes === b.limitBytes && a.rights === b.rights;

/** A load in real mode changes selector and base; limit and size stay, which is how big real mode comes about. */
export function loadedInRealMode(segment: SegmentState, selector: number): SegmentState {
  const rights = segment.rights === 0 ? rightsPresent | rightsSegment | writableData : segment.rights;
  return { ...segment, selector, base: BigInt(selector << 4), rights };
}

/** Whether virtual-8086 mode does what real mode would with these segments, but for accesses beyond 64 KiB, which fault. */
export function fitsVirtual8086(guest: VmxGuest): boolean {
  if (guest.rip > 0xffffn) return false;
  return names.every((name) => {
    const { selector, base, limitBytes, rights } = guest.segment(name);
    const expandsDown = (rights & (rightsCode | rightsExpandDown)) === rightsExpandDown;
    const isWide = (name === "CS" || name === "SS") && (rights & rightsBig) !== 0;
    return rights !== 0 && base === BigInt(selector << 4) && limitBytes >= 0xffff && !expandsDown && !isWide;
  });
}

const virtual8086 = ({ selector }: SegmentState): SegmentState => ({
  selector,
  base: BigInt(selector << 4),
  limitBytes: 0xffff,
  rights: virtual8086Rights,
});

/** What VM entry accepts in ring 0 of protected mode with the same base, limit and size. */
function inRingZero(name: SegmentRegisterName, segment: SegmentState, kind: SeatKind): SegmentState {
  const { selector, rights } = segment;
  if (name !== "CS" && rights === 0) return name === "SS" ? { ...segment, selector: selector & ~3 } : segment;
  const size = rights & (rightsBig | rightsPages);
  const common = size | rightsPresent | rightsSegment;
  if (name === "CS") return { ...segment, selector: selector & ~3, rights: common | readableCode };
  // Real mode does not look at the type, but for the direction in which a segment expands.
  const expandsDown = (rights & (rightsCode | rightsExpandDown)) === rightsExpandDown;
  const type = kind === "protected" ? (rights & 0xf) | 1 : expandsDown ? writableData | rightsExpandDown : writableData;
  if (name === "SS") return { ...segment, selector: selector & ~3, rights: common | type };
  return { ...segment, rights: common | type | dpl3 };
}

/** Whether VM entry would take the segments of a guest in ring 0 of protected mode as they are. */
export function needsProtectedSeat(guest: VmxGuest): boolean {
  const [cs, ss] = [guest.segment("CS"), guest.segment("SS")];
  if ((cs.rights & rightsCode) === 0) return true;
  if ((ss.rights & dpl3) !== 0) return false;
  if ((ss.selector & 3) !== 0 || ((cs.selector & 3) !== 0 && (cs.rights & dpl3) === 0)) return true;
  return (["ES", "DS", "FS", "GS"] as const).some((name) => {
    const { selector, rights } = guest.segment(name);
    return rights !== 0 && (rights & rightsCode) === 0 && ((rights >> 5) & 3) < (selector & 3);
  });
}
