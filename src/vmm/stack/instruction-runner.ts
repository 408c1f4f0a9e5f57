// Runs single instructions of a VMM that is itself a guest: each operation of virtualization that it makes is one that
// may exit to the VMM outside. The instructions lie with their operands on a page of that VMM's, which its own page
// tables map.

import { pageEntryBits } from "../../isa/index.js";
import { gpr } from "../hardware/exited-guest.js";
import type { LevelStop } from "../bundled.js";
import { pageBytes, type PageAllocator } from "../page-allocator.js";
import type { Processor } from "../virtualization.js";
import type { LevelVcpu } from "./level.js";

const { P, RW, A, D } = pageEntryBits;
const operandOffset = 0x800n;
/** An instruction is entered once and found again by its bytes. */
const instructionBytes = 16;

/** Values of registers that an instruction takes. */
export interface Inputs {
  readonly rax?: bigint;
  readonly rcx?: bigint;
  readonly rdx?: bigint;
}

export class InstructionRunner {
  /** CR3 of the VMM: the page of its instructions and nothing else. */
  readonly tables: bigint;
  private readonly page: bigint;
  private readonly places = new Map<string, bigint>();

  constructor(
    private readonly processor: Processor,
    readonly vcpu: LevelVcpu,
    pages: PageAllocator,
  ) {
    this.page = BigInt(pages.take());
    this.tables = BigInt(pages.take(4));
    for (let level = 4; level > 0; level--) {
      const table = this.tables + BigInt((4 - level) * pageBytes);
      const next = level === 1 ? this.page : table + BigInt(pageBytes);
      processor.writePhysical(table, new Uint8Array(pageBytes));
      processor.writeU64(table + ((this.page >> BigInt(12 + 9 * (level - 1))) & 0x1ffn) * 8n, next | P | RW | A | D);
    }
  }

  /** Address of the 16 bytes that an instruction may have as its memory operand. */
  get operand(): bigint {
    return this.page + operandOffset;
  }

  /** Writes the memory operand: up to two quadwords. */
  setOperand(...quadwords: readonly bigint[]): void {
    quadwords.forEach((value, i) => this.processor.writeU64(this.operand + BigInt(8 * i), value));
  }

  /**
   * Runs one instruction with these registers; gives RDX after it. General registers are the guest's of that VMM, and
   * stay as they are, RAX, RCX and RDX included.
   */
  run(hex: string, inputs: Inputs = {}): bigint {
    const { processor } = this;
    const used = [gpr.rax, gpr.rcx, gpr.rdx];
    const kept = used.map((number) => processor.general(number));
    const stop = this.runAndLeave(hex, inputs);
    if (stop) throw new Error(`internal error: an instruction of a VMM ended by ${JSON.stringify(stop)}`);
    const result = processor.general(gpr.rdx);
    used.forEach((number, i) => processor.setGeneral(number, kept[i] ?? 0n));
    return result;
  }

  /** The same for an instruction that may enter a guest, whose registers are then in place. */
  runAndLeave(hex: string, inputs: Inputs = {}): LevelStop | undefined {
    const { processor, vcpu } = this;
    if (inputs.rax !== undefined) processor.setGeneral(gpr.rax, inputs.rax);
    if (inputs.rcx !== undefined) processor.setGeneral(gpr.rcx, inputs.rcx);
    if (inputs.rdx !== undefined) processor.setGeneral(gpr.rdx, inputs.rdx);
    processor.setRegister("RIP", this.place(hex));
    return vcpu.step();
  }

  private place(hex: string): bigint {
    let place = this.places.get(hex);
    if (place === undefined) {
      place = this.page + BigInt(this.places.size * instructionBytes);
      this.processor.writePhysical(place, Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")));
      this.places.set(hex, place);
    }
    return place;
  }
}
