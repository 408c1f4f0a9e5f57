// A task switch that a VMM carries out for its guest: Intel SDM vol. 3A, "Task Switching". The processor has made the
// checks on the new TSS's descriptor before it exits (vol. 3C, "Treatment of Task Switches"); everything else is here.

import { cr0Bits, flagBits } from "../../isa/index.js";
import type { SegmentState } from "../../program/index.js";
import type { InjectedEvent } from "../hardware/exited-guest.js";
import type { SegmentRegisterName } from "../virtualization.js";
import { decodeDescriptor, dplOf, isPresent, isSegment, type Descriptor } from "./descriptors.js";
import { writeSegment, type OperandGuest } from "./operands.js";

/** What starts a switch: CALL, IRET, JMP, or a gate of the IDT. */
export type TaskSource = "call" | "iret" | "jmp" | "gate";

export interface TaskSwitch {
  readonly selector: number;
  readonly source: TaskSource;
  /** RIP that the old task keeps. */
  readonly savedRip: bigint;
  /** No instruction of the guest asked for it: error codes have EXT set. */
  readonly external: boolean;
  /** Of the exception that the gate was for: the new task finds it on its stack. */
  readonly errorCode?: number;
}

/** A guest whose task can be switched. */
export interface TaskGuest extends OperandGuest {
  setSegment(name: SegmentRegisterName, state: SegmentState): void;
}

/** A fault of the old task, in which nothing has changed then, or of the new one. */
export interface TaskFault {
  readonly task: "old" | "new";
  readonly event: InjectedEvent;
}

type Fault = InjectedEvent | undefined;

const vectors = { debug: 1, invalidTss: 10, notPresent: 11, stack: 12, protection: 13 } as const;
const busy = 2;
const wideType = 8;
const rightsCode = 0x08;
const rightsConforming = 0x04;
const rightsWritable = 0x02;
const rightsAccessed = 0x01;
const rightsBig = 1 << 14;
const ldtType = 2;
const localTable = 4;
const generals = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"] as const;
const segments = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
const dataSegments = ["ES", "DS", "FS", "GS"] as const;
/** L0 to L3 and LE of DR7 belong to the task that is left. */
const localBreakpoints = 0x155n;
const taskTrap = 1n << 15n;
const low16 = 0xffffn;
const system = { user: false } as const;
const virtual8086Rights = 0xf3;

/** A TSS: EIP, EFLAGS, eight registers, the segments, LDTR, one slot each from `first` on. */
const layouts = {
  wide: { first: 0x20, slot: 4, segments: 6, bytes: 0x68 },
  narrow: { first: 0x0e, slot: 2, segments: 4, bytes: 0x2c },
} as const;
type Layout = (typeof layouts)[keyof typeof layouts];
const layoutOf = (rights: number): Layout => ((rights & wideType) !== 0 ? layouts.wide : layouts.narrow);
const cr3Offset = 0x1c;
const trapOffset = 0x64;

/** Switches to the task of a TSS; gives the fault that this ends in. */
export function switchTask(guest: TaskGuest, to: TaskSwitch): TaskFault | undefined {
  const external = to.external ? 1 : 0;
  // Step 1: both TSSs are there before anything changes.
  const place = guest.register("GDTR.BASE") + BigInt(to.selector & 0xfff8);
  const found = guest.memory.read(place, 8, system);
  if ("fault" in found) return { task: "old", event: found.fault };
  const descriptor = descriptorIn(found.bytes);
  const layout = layoutOf(descriptor.rights);
  const old = guest.segment("TR");
  if (old.limitBytes < layoutOf(old.rights).bytes - 1) {
    return { task: "old", event: coded(vectors.invalidTss, (old.selector & 0xfffc) | external) };
  }
  const tss = guest.memory.read(descriptor.base, layout.bytes, system);
  if ("fault" in tss) return { task: "old", event: tss.fault };
  const left = saveTask(guest, old, to) ?? link(guest, to, { place, descriptor, old });
  if (left) return { task: "old", event: left };
  // Step 2: the new task has the processor, and faults are its own.
  const state = new DataView(tss.bytes.buffer, tss.bytes.byteOffset, tss.bytes.byteLength);
  guest.setSegment("TR", { ...descriptor, selector: to.selector, rights: descriptor.rights | busy });
  guest.setRegister("CR0", guest.register("CR0") | cr0Bits.TS);
  guest.setRegister("DR7", guest.register("DR7") & ~localBreakpoints);
  const event = new NewTask(guest, state, layout, external).enter(to);
  return event && { task: "new", event };
}

const coded = (vector: number, errorCode: number): InjectedEvent => ({ vector, errorCode });

function descriptorIn(bytes: Uint8Array): Descriptor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return decodeDescriptor(view.getUint32(0, true), view.getUint32(4, true));
}

/** The old task's state goes to its TSS. */
function saveTask(guest: TaskGuest, old: SegmentState, to: TaskSwitch): Fault {
  const { first, slot, segments: count } = layoutOf(old.rights);
  const at = old.base + BigInt(first);
  const kept = guest.memory.read(at, (10 + count) * slot, system);
  if ("fault" in kept) return kept.fault;
  const view = new DataView(kept.bytes.buffer, kept.bytes.byteOffset, kept.bytes.byteLength);
  const put = (index: number, value: bigint, bytes: number = slot): void => {
    if (bytes === 4) view.setUint32(index * slot, Number(value & 0xffff_ffffn), true);
    else view.setUint16(index * slot, Number(value & low16), true);
  };
  const flags = guest.register("RFLAGS") & ~(to.source === "iret" ? flagBits.NT : 0n);
  put(0, to.savedRip);
  put(1, flags);
  generals.forEach((name, i) => put(2 + i, guest.register(name)));
  segments.slice(0, count).forEach((name, i) => put(10 + i, BigInt(guest.segment(name).selector), 2));
  return guest.memory.write(at, kept.bytes, system);
}

/** Busy bits, and the link by which a nested task returns. */
function link(
  guest: TaskGuest,
  { source }: TaskSwitch,
  { place, descriptor, old }: { place: bigint; descriptor: Descriptor; old: SegmentState },
): Fault {
  const type = (rights: number): Uint8Array => Uint8Array.of(rights & 0xff);
  const left = guest.register("GDTR.BASE") + BigInt(old.selector & 0xfff8) + 5n;
  if (source === "jmp" || source === "iret") {
    const now = guest.memory.read(left, 1, system);
    if ("fault" in now) return now.fault;
    const fault = guest.memory.write(left, type((now.bytes[0] ?? 0) & ~busy), system);
    if (fault) return fault;
  }
  if (source === "call" || source === "gate") {
    const fault = guest.memory.write(descriptor.base, Uint8Array.of(old.selector & 0xff, old.selector >> 8), system);
    if (fault) return fault;
  }
  return source === "iret" ? undefined : guest.memory.write(place + 5n, type(descriptor.rights | busy), system);
}

/** The state of a TSS on its way into the processor. */
class NewTask {
  constructor(
    private readonly guest: TaskGuest,
    private readonly state: DataView,
    private readonly layout: Layout,
    private readonly external: number,
  ) {}

  enter({ source, errorCode }: TaskSwitch): Fault {
    const { guest, layout } = this;
    const isWide = layout === layouts.wide;
    if (isWide && (guest.register("CR0") & cr0Bits.PG) !== 0n) {
      guest.setRegister("CR3", BigInt(this.state.getUint32(cr3Offset, true)));
    }
    guest.setRegister("RIP", this.slot(0));
    const kept = isWide ? 0n : guest.register("RFLAGS") & 0xffff_0000n;
    const nested = source === "call" || source === "gate" ? flagBits.NT : 0n;
    guest.setRegister("RFLAGS", this.slot(1) | kept | nested | 2n);
    generals.forEach((name, i) => {
      const value = this.slot(2 + i);
      guest.setRegister(name, isWide ? value : (guest.register(name) & 0xffff_0000n) | value);
    });
    const fault = this.loadSegments();
    if (fault) return fault;
    if (guest.register("RIP") > BigInt(guest.segment("CS").limitBytes)) return coded(vectors.protection, 0);
    const pushed = errorCode === undefined ? undefined : this.push(errorCode);
    if (pushed) return pushed;
    if (!isWide || (this.state.getUint16(trapOffset, true) & 1) === 0) return undefined;
    guest.setRegister("DR6", guest.register("DR6") | taskTrap);
    return { vector: vectors.debug };
  }

  private slot(index: number): bigint {
    const { first, slot } = this.layout;
    const at = first + index * slot;
    return BigInt(slot === 4 ? this.state.getUint32(at, true) : this.state.getUint16(at, true));
  }

  /** A 16-bit TSS has no FS and GS: they become null. */
  private selector(name: (typeof segments)[number] | "LDTR"): number {
    const { layout } = this;
    const index = name === "LDTR" ? layout.segments : segments.indexOf(name);
    return index > layout.segments || (name !== "LDTR" && index === layout.segments)
      ? 0
      : Number(this.slot(10 + index) & low16);
  }

  private loadSegments(): Fault {
    const { guest } = this;
    const isVirtual = (guest.register("RFLAGS") & flagBits.VM) !== 0n;
    const level = isVirtual ? 3 : this.selector("CS") & 3;
    // Until they are loaded the registers hold selectors and no segments; VM entry wants code and a stack of that ring.
    for (const name of segments) guest.setSegment(name, unloaded(name, this.selector(name), level));
    guest.setSegment("LDTR", { selector: this.selector("LDTR"), base: 0n, limitBytes: 0, rights: 0 });
    const local = this.loadLdt();
    if (local) return local;
    if (!isVirtual) return this.loadProtected(level);
    for (const name of segments) {
      const selector = this.selector(name);
      const base = BigInt(selector << 4);
      guest.setSegment(name, { selector, base, limitBytes: 0xffff, rights: virtual8086Rights });
    }
    return undefined;
  }

  private loadLdt(): Fault {
    const selector = this.selector("LDTR");
    if ((selector & 0xfffc) === 0) return undefined;
    const found = (selector & localTable) === 0 ? this.read(selector) : undefined;
    if (found && "fault" in found) return found.fault;
    if (!found || (found.rights & 0x1f) !== ldtType || !isPresent(found.rights)) return this.bad(selector);
    this.guest.setSegment("LDTR", { ...found, selector });
    return undefined;
  }

  private loadProtected(level: number): Fault {
    const code = this.checked("CS", (rights) => {
      const dpl = dplOf(rights);
      return (rights & rightsCode) !== 0 && ((rights & rightsConforming) !== 0 ? dpl <= level : dpl === level);
    });
    if (code) return code;
    const stack = this.checked("SS", (rights, selector) => {
      const isWritable = (rights & (rightsCode | rightsWritable)) === rightsWritable;
      return isWritable && dplOf(rights) === level && (selector & 3) === level;
    });
    if (stack) return stack;
    for (const name of dataSegments) {
      if ((this.selector(name) & 0xfffc) === 0) continue;
      const fault = this.checked(name, (rights, selector) => {
        const isReadable = (rights & rightsCode) === 0 || (rights & rightsWritable) !== 0;
        const conforming = (rights & (rightsCode | rightsConforming)) === (rightsCode | rightsConforming);
        return isReadable && (conforming || dplOf(rights) >= Math.max(level, selector & 3));
      });
      if (fault) return fault;
    }
    return undefined;
  }

  /** Loads a segment register whose descriptor suits; gives the fault. */
  private checked(name: (typeof segments)[number], suits: (rights: number, selector: number) => boolean): Fault {
    const { guest } = this;
    const selector = this.selector(name);
    const found = (selector & 0xfffc) === 0 ? undefined : this.read(selector);
    if (found && "fault" in found) return found.fault;
    if (!found || !isSegment(found.rights) || !suits(found.rights, selector)) return this.bad(selector);
    const absent = name === "SS" ? vectors.stack : vectors.notPresent;
    if (!isPresent(found.rights)) return coded(absent, (selector & 0xfffc) | this.external);
    const rights = found.rights | rightsAccessed;
    const fault = guest.memory.write(found.address + 5n, Uint8Array.of(rights & 0xff), system);
    if (fault) return fault;
    const { base, limitBytes } = found;
    guest.setSegment(name, { selector, base, limitBytes, rights });
    return undefined;
  }

  private bad(selector: number): InjectedEvent {
    return coded(vectors.invalidTss, (selector & 0xfffc) | this.external);
  }

  /** The descriptor of a selector; undefined where it lies outside its table. */
  private read(
    selector: number,
  ): (Descriptor & { readonly address: bigint }) | { readonly fault: InjectedEvent } | undefined {
    const { guest } = this;
    const isLocal = (selector & localTable) !== 0;
    const ldtr = guest.segment("LDTR");
    if (isLocal && ldtr.rights === 0) return undefined;
    const offset = selector & 0xfff8;
    const limit = isLocal ? ldtr.limitBytes : Number(guest.register("GDTR.LIMIT"));
    if (offset + 7 > limit) return undefined;
    const address = (isLocal ? ldtr.base : guest.register("GDTR.BASE")) + BigInt(offset);
    const found = guest.memory.read(address, 8, system);
    return "fault" in found ? found : { ...descriptorIn(found.bytes), address };
  }

  /** The error code, on the new task's stack. */
  private push(errorCode: number): Fault {
    const { guest, layout } = this;
    const isBig = (guest.segment("SS").rights & rightsBig) !== 0;
    const rsp = guest.register("RSP");
    const top = BigInt.asUintN(isBig ? 32 : 16, rsp - BigInt(layout.slot));
    const fault = writeSegment(guest, "SS", top, BigInt(errorCode), layout.slot);
    if (fault) return fault;
    guest.setRegister("RSP", isBig ? top : (rsp & ~low16) | top);
    return undefined;
  }
}

/** A segment register whose segment is not there yet. */
function unloaded(name: (typeof segments)[number], selector: number, level: number): SegmentState {
  if (name !== "CS" && name !== "SS") return { selector, base: 0n, limitBytes: 0, rights: 0 };
  const type = name === "CS" ? 0xb : 0x3;
  const ring = name === "SS" ? (selector & ~3) | level : selector;
  return { selector: ring, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc090 | type | (level << 5) };
}
