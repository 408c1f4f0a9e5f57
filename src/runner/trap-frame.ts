// The frame that the delivery of an exception left on the stack, and the return from it.
//
// In the bundled lowering the gates of the default handlers point at stops. There the host side does what IRET would:
// it reads the frame and puts CS, RIP, RFLAGS, SS and RSP back, with RIP where the test wants to go on.
// Intel SDM vol. 3A, "Exception- or Interrupt-Handler Procedures"; vol. 2A, "IRET/IRETD/IRETQ".

import { littleEndian, readLinear } from "./guest-memory.js";
import type { GuestProcessor } from "../vmm/index.js";
import { hideFromOuterRing, readDescriptor, realModeSegment, virtual8086Segment } from "./segment-load.js";

/** What a frame holds. The stack is where the interrupted code had it, whether the frame says so or not. */
export interface TrapFrame {
  readonly errorCode?: bigint;
  readonly rip: bigint;
  readonly cs: number;
  readonly rflags: bigint;
  readonly rsp: bigint;
  /** Absent when the delivery did not switch stacks and the frame holds none. */
  readonly ss?: number;
  /** ES, DS, FS and GS of virtual-8086 mode. */
  readonly virtual8086?: Readonly<Record<"ES" | "DS" | "FS" | "GS", number>>;
}

const flagVm = 1n << 17n;
const eferLma = 1n << 10n;
const sizeBitOfStack = 1 << 14;
/** Bit 3 of a gate's type: 32-bit rather than 16-bit. */
const wideGate = 0x08;

/** Reads the frame of a delivery to `vector` that has just reached its handler; undefined where memory is missing. */
export function readTrapFrame(machine: GuestProcessor, vector: number, hasErrorCode: boolean): TrapFrame | undefined {
  const slotBytes = frameSlotBytes(machine, vector);
  if (slotBytes === undefined) return undefined;
  const long = slotBytes === 8;
  const ss = machine.segment("SS");
  const wideStack = long || (ss.rights & sizeBitOfStack) !== 0;
  const pointer = machine.register("RSP") & (long ? ~0n : wideStack ? 0xffff_ffffn : 0xffffn);
  const base = long ? 0n : ss.base;
  const slots = (count: number): bigint[] | undefined => {
    const bytes = readLinear(machine, base + pointer, count * slotBytes);
    return (
      bytes && Array.from({ length: count }, (_, i) => littleEndian(bytes.subarray(i * slotBytes, (i + 1) * slotBytes)))
    );
  };
  const errorSlots = hasErrorCode && !isRealMode(machine) ? 1 : 0;
  const short = slots(errorSlots + 3);
  if (!short) return undefined;
  const [rip = 0n, cs = 0n, rflags = 0n] = short.slice(errorSlots);
  const common = {
    ...(errorSlots === 1 && { errorCode: short[0] ?? 0n }),
    rip,
    cs: Number(cs & 0xffffn),
    rflags,
  };
  const fromVirtual8086 = slotBytes === 4 && (rflags & flagVm) !== 0n;
  const switched = long || fromVirtual8086 || (!isRealMode(machine) && (common.cs & 3) > machine.cpl);
  if (!switched) return { ...common, rsp: machine.register("RSP") + BigInt((errorSlots + 3) * slotBytes) };
  const whole = slots(errorSlots + (fromVirtual8086 ? 9 : 5));
  if (!whole) return undefined;
  const [rsp = 0n, oldSs = 0n, es = 0n, ds = 0n, fs = 0n, gs = 0n] = whole.slice(errorSlots + 3);
  const selector = (value: bigint): number => Number(value & 0xffffn);
  return {
    ...common,
    rsp,
    ss: selector(oldSs),
    ...(fromVirtual8086 && {
      virtual8086: { ES: selector(es), DS: selector(ds), FS: selector(fs), GS: selector(gs) },
    }),
  };
}

/** Returns from the handler as IRET would, but to `rip`. False where a selector of the frame cannot be loaded. */
export function returnFromTrap(machine: GuestProcessor, frame: TrapFrame, rip: bigint): boolean {
  if (isRealMode(machine)) {
    machine.setSegment("CS", realModeSegment(machine.segment("CS"), frame.cs));
  } else if (frame.virtual8086) {
    machine.setSegment("CS", virtual8086Segment(frame.cs));
    machine.setSegment("SS", virtual8086Segment(frame.ss ?? 0));
    for (const name of ["ES", "DS", "FS", "GS"] as const)
      machine.setSegment(name, virtual8086Segment(frame.virtual8086[name]));
  } else if (!returnToProtectedMode(machine, frame)) return false;
  machine.setRegister("RFLAGS", frame.rflags);
  machine.setRegister("RSP", frame.rsp);
  machine.setRegister("RIP", rip);
  return true;
}

function returnToProtectedMode(machine: GuestProcessor, frame: TrapFrame): boolean {
  const outward = (frame.cs & 3) > machine.cpl;
  const cs = readDescriptor(machine, frame.cs);
  // A null SS is what 64-bit code may have below ring 3, and what its frame then says.
  const ss = frame.ss === undefined ? machine.segment("SS") : readDescriptor(machine, frame.ss);
  if (!cs || !ss) return false;
  machine.setSegment("CS", cs);
  machine.setSegment("SS", ss);
  if (outward) hideFromOuterRing(machine, frame.cs & 3);
  return true;
}

/** Bytes of each value in the frame: by long mode, real mode or the gate's size. */
function frameSlotBytes(machine: GuestProcessor, vector: number): 2 | 4 | 8 | undefined {
  if ((machine.register("EFER") & eferLma) !== 0n) return 8;
  if (isRealMode(machine)) return 2;
  const gate = readLinear(machine, machine.register("IDTR.BASE") + BigInt(vector * 8), 8);
  if (!gate) return undefined;
  return ((gate[5] ?? 0) & wideGate) !== 0 ? 4 : 2;
}

function isRealMode(machine: GuestProcessor): boolean {
  return (machine.register("CR0") & 1n) === 0n;
}
