// A guest in real mode as instructions that the VMM carries out see it: ring 0, no paging, no descriptors.

import { flagBits } from "../../../../isa/index.js";
import type { SegmentState } from "../../../../program/index.js";
import { GuestMemory } from "../../../emulation/guest-memory.js";
import type { CodeGuest } from "../../../emulation/instruction.js";
import { readSegment, writeSegment, type Value } from "../../../emulation/operands.js";
import type { Processor, SegmentRegisterName } from "../../../virtualization.js";
import { gpr, type InjectedEvent } from "../../exited-guest.js";
import { field } from "../vmcs-fields.js";
import type { VmxGuest } from "../vmx-guest.js";
import { loadedInRealMode } from "./seat.js";

const sizeBit = 1 << 14;
/** Blocking by STI, by MOV SS, by NMI. */
const blocking = { sti: 1n, movSs: 2n, nmi: 8n } as const;

export class RealGuest implements CodeGuest {
  readonly memory: GuestMemory;
  readonly cpl = 0;

  constructor(
    private readonly guest: VmxGuest,
    processor: Processor,
  ) {
    this.memory = new GuestMemory(processor, { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n }, () => {});
  }

  register(name: string): bigint {
    return this.guest.register(name);
  }

  setRegister(name: string, value: bigint): void {
    this.guest.setRegister(name, value);
  }

  segment(name: SegmentRegisterName): SegmentState {
    return this.guest.segment(name);
  }

  load(name: SegmentRegisterName, selector: number): void {
    this.guest.setSegment(name, loadedInRealMode(this.guest.segment(name), selector));
  }

  get rip(): bigint {
    return this.guest.rip;
  }

  get codeBits(): 16 | 32 {
    return (this.guest.segment("CS").rights & sizeBit) !== 0 ? 32 : 16;
  }

  get flags(): bigint {
    return this.guest.register("RFLAGS");
  }

  /** Whether an offset lies in the code segment, whose limit no transfer of real mode changes. */
  holdsCode(offset: bigint): boolean {
    return offset <= BigInt(this.guest.segment("CS").limitBytes);
  }

  jump(selector: number, offset: bigint): void {
    this.load("CS", selector);
    this.guest.setRegister("RIP", offset);
  }

  /** A slot of the stack, counted from its top. */
  slot(index: number, bytes: 2 | 4): Value {
    return readSegment(this, "SS", this.stackOffset(index * bytes), bytes);
  }

  /** Pushes a value, of which a part may be written. */
  push(value: bigint, bytes: 2 | 4, written = bytes): InjectedEvent | undefined {
    const fault = writeSegment(this, "SS", this.stackOffset(-bytes), value, written);
    if (fault === undefined) this.moveStack(-bytes);
    return fault;
  }

  moveStack(bytes: number): void {
    const { guest } = this;
    const rsp = guest.general(gpr.rsp);
    guest.setGeneral(gpr.rsp, this.stackIsWide ? this.stackOffset(bytes) : (rsp & ~0xffffn) | this.stackOffset(bytes));
  }

  /** MOV and POP to SS hold interrupts back until the next instruction is done. */
  holdInterruptsBack(): void {
    const { vmx } = this.guest;
    vmx.write(field.interruptibility, vmx.read(field.interruptibility) | blocking.movSs);
  }

  endShadows(): void {
    const { vmx } = this.guest;
    vmx.write(field.interruptibility, vmx.read(field.interruptibility) & ~(blocking.sti | blocking.movSs));
  }

  blockNmi(blocked: boolean): void {
    const { vmx } = this.guest;
    const state = vmx.read(field.interruptibility) & ~blocking.nmi;
    vmx.write(field.interruptibility, blocked ? state | blocking.nmi : state);
  }

  get isShadowed(): boolean {
    return (this.guest.vmx.read(field.interruptibility) & (blocking.sti | blocking.movSs)) !== 0n;
  }

  /**
   * Enters the handler of a vector through the interrupt table; gives what that raises instead. Intel SDM vol. 3A,
   * "Interrupt and Exception Handling" of "8086 Emulation".
   */
  deliver(vector: number, savedRip: bigint): InjectedEvent | undefined {
    const { guest, flags } = this;
    const at = vector * 4;
    if (at + 3 > Number(guest.register("IDTR.LIMIT"))) return { vector: 13 };
    const entry = this.memory.read(guest.register("IDTR.BASE") + BigInt(at), 4, { user: false });
    if ("fault" in entry) return entry.fault;
    const view = new DataView(entry.bytes.buffer);
    const rsp = guest.general(gpr.rsp);
    const fault = this.push(flags, 2) ?? this.push(BigInt(guest.segment("CS").selector), 2) ?? this.push(savedRip, 2);
    const offset = BigInt(view.getUint16(0, true));
    if (fault || !this.holdsCode(offset)) {
      guest.setGeneral(gpr.rsp, rsp);
      return fault ?? { vector: 13 };
    }
    this.jump(view.getUint16(2, true), offset);
    const { IF, TF, AC, RF } = flagBits;
    guest.setRegister("RFLAGS", flags & ~(IF | TF | AC | RF));
    this.endShadows();
    return undefined;
  }

  private get stackIsWide(): boolean {
    return (this.guest.segment("SS").rights & sizeBit) !== 0;
  }

  private stackOffset(bytes: number): bigint {
    return BigInt.asUintN(this.stackIsWide ? 32 : 16, this.guest.general(gpr.rsp) + BigInt(bytes));
  }
}
