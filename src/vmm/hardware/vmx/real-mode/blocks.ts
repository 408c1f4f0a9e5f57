// Code of real mode that runs in ring 0 of protected mode without a stop: what leads from an instruction to others by
// falling through and by near branches, as long as it does the same in both modes and changes neither memory, of which
// its own bytes are a part, nor debug registers. Instruction breakpoints stand where it ends, which is four at most.

import { encodingOf } from "../../../../isa/index.js";
import { fetchInstruction, type GuestInstruction } from "../../../emulation/instruction.js";
import type { Processor } from "../../../virtualization.js";
import type { RealGuest } from "./real-guest.js";

const mostStops = 4;
const mostInstructions = 32;
const fewestInstructions = 8;
const keptBlocks = 1024;

/** Instructions whose work the registers of general purpose, the flags and what they read bound. */
const calm: ReadonlySet<string> = new Set(
  (
    "adc add and bsf bsr bswap bt btc btr bts cbw cdq clc cmc cmp cmpxchg cwd cwde dec div idiv imul inc lahf lea mov " +
    "movsx movzx mul neg nop not or rdtsc rcl rcr rol ror sahf sal salc sar sbb shl shld shr shrd stc sub test xadd xchg " +
    "xlatb xor"
  ).split(" "),
);
const branches = /^(j(?!mp)\w+|loop\w*)$/;

interface Piece {
  readonly at: bigint;
  readonly low: bigint;
  readonly high: bigint;
}

interface Block {
  readonly codeBits: 16 | 32;
  readonly pieces: readonly Piece[];
  /** Linear addresses; undefined where a block is not worth its breakpoints. */
  readonly stops: readonly bigint[] | undefined;
}

export class Blocks {
  private readonly known = new Map<bigint, Block>();

  constructor(
    private readonly real: RealGuest,
    private readonly processor: Processor,
    private readonly memoryBytes: bigint,
  ) {}

  /** Where the code that begins at an offset stops; undefined where it does not run far. */
  stopsFrom(rip: bigint): readonly bigint[] | undefined {
    const at = this.linear(rip);
    let block = this.known.get(at);
    if (block === undefined || !this.isUnchanged(block)) {
      if (this.known.size >= keptBlocks) this.known.clear();
      block = this.explore(rip);
      this.known.set(at, block);
    }
    return block.stops;
  }

  private linear(rip: bigint): bigint {
    return BigInt.asUintN(32, this.real.segment("CS").base + rip);
  }

  private isUnchanged({ codeBits, pieces }: Block): boolean {
    if (codeBits !== this.real.codeBits) return false;
    return pieces.every(({ at, low, high }) => {
      return this.processor.readU64(at) === low && this.processor.readU64(at + 8n) === high;
    });
  }

  private explore(start: bigint): Block {
    const { codeBits } = this.real;
    const pieces: Piece[] = [];
    const inside = new Set<bigint>();
    const ends = new Set<bigint>();
    const open = [start];
    let loops = false;
    for (let rip = open.shift(); rip !== undefined; rip = open.shift()) {
      if (inside.has(rip) || ends.has(rip)) continue;
      const at = this.linear(rip);
      const instruction = at + 16n <= this.memoryBytes ? fetchInstruction(this.real, rip) : undefined;
      const next = instruction && this.successors(instruction);
      if (instruction !== undefined) {
        pieces.push({ at, low: this.processor.readU64(at), high: this.processor.readU64(at + 8n) });
      }
      const grows = next === undefined ? 0 : next.length - 1;
      if (next === undefined || inside.size >= mostInstructions || ends.size + open.length + grows >= mostStops) {
        ends.add(rip);
        continue;
      }
      inside.add(rip);
      loops ||= next.some((offset) => inside.has(offset));
      open.push(...next);
    }
    // An entry with breakpoints costs as much as some steps.
    const isWorthwhile = loops || (inside.size >= fewestInstructions && ends.size === 1);
    return { codeBits, pieces, stops: isWorthwhile ? [...ends].map((rip) => this.linear(rip)) : undefined };
  }

  /** Where an instruction leads to; undefined where it must not run here. */
  private successors({ decoded, rip }: GuestInstruction): readonly bigint[] | undefined {
    const { form, length, value } = decoded;
    const { mnemonic, operands } = value;
    const within = (offset: bigint): bigint => BigInt.asUintN(this.real.codeBits, offset);
    const following = rip + BigInt(length);
    const isNear = operands[0]?.kind === "immediate" && encodingOf(form).operands[0]?.kind === "rel";
    const target = operands[0]?.kind === "immediate" ? within(operands[0].value) : 0n;
    if (mnemonic === "jmp") return isNear ? [target] : undefined;
    if (branches.test(mnemonic)) return [target, within(following)];
    if (!calm.has(mnemonic) || value.prefixes.length > 0) return undefined;
    const writesElsewhere = encodingOf(form).operands.some((operand, i) => {
      const isSpecial = operand.kind === "sreg" || operand.kind === "cr" || operand.kind === "dr";
      return isSpecial || (operand.write && operands[i]?.kind === "memory");
    });
    return writesElsewhere || following > within(following) ? undefined : [within(following)];
  }
}
