// From the guest's code to code of the cache, a block at a time: what is not sensitive is copied, branches lead to
// translations, and everything else is left to the VMM by an instruction that faults in ring 1 (HLT).
//
// Sequences change no flag: they move, add by LEA, and test by JECXZ. An indirect jump, and so a return, goes where a
// table says by the lower half of the address; the block there looks whether it is the one that is wanted.
//
// While translated code runs, GS is the VMM's segment; instructions that use GS, or CS as data, are left to the VMM.

import { fetchInstruction, operandBytes, type GuestInstruction } from "../../emulation/instruction.js";
import { linearOf } from "../../emulation/operands.js";
import type { SoftwareGuest } from "../shared/software-guest.js";
import type { SoftwareVcpuParts } from "../shared/software-vcpu.js";
import { cacheLayout, type Block, type CodeCache, type Emitted, type Place } from "./code-cache.js";
import { isCut } from "../shared/ring-compression.js";
import { isSensitive } from "./sensitive.js";

/** Instructions of the guest in a block at most, pages of its code, and calls within calls that it follows. */
const blockLimit = 64;
const pageLimit = 4;
const depthLimit = 4;
const pageShift = 12n;
const halt = [0xf4];
const prefixBytes: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
const nearJumpBytes = 5;
const highestOffset = 0xffff_ffff;
const gsPrefix = 0x65;
const csPrefix = 0x2e;

/** Bytes of a little-endian doubleword. */
const dword = (value: number): number[] => [value, value >>> 8, value >>> 16, value >>> 24].map((byte) => byte & 0xff);

export class Translator {
  private readonly own: OwnInstructions;

  constructor(
    private readonly guest: SoftwareGuest,
    private readonly parts: Pick<SoftwareVcpuParts, "ringZero" | "instructions">,
    private readonly cache: CodeCache,
  ) {
    this.own = ownInstructions(cache.dataLinear);
  }

  /** Translates the code at a RIP of the guest. */
  translate(rip: number): Block {
    const draft = new Draft(this.own);
    const pages = new Set<bigint>();
    let at: number | undefined = rip;
    for (let count = 0; ; count++) {
      const instruction = this.fetch(at, pages);
      if (instruction === undefined || this.mustCallOut(instruction, at)) {
        draft.put(at, "callout", halt);
        break;
      }
      const next = (at + instruction.decoded.length) >>> 0;
      at = this.emit(draft, instruction, at, next);
      if (at === undefined) break;
      if (count >= blockLimit || !this.mayFollow(at, pages)) {
        draft.branch(at, [0xe9], at, true);
        break;
      }
    }
    return this.cache.add(rip, [...pages], { look: this.lookOf(rip), own: draft.finish() });
  }

  /** Stands before a block: is it the one that an indirect jump wants? */
  private lookOf(rip: number): readonly Emitted[] {
    const { loadTarget, restoreEcx } = this.own;
    const draft = new Draft(this.own);
    draft.inner(rip, [loadTarget, lessEcx(rip), [0xe3, nearJumpBytes]]); // jecxz behind the jump
    draft.inner(rip, [[0xe9, ...dword(this.cache.distanceToMiss(draft.length + nearJumpBytes))]]);
    draft.put(rip, "inner", restoreEcx);
    return draft.finish();
  }

  private fetch(at: number, pages: Set<bigint>): GuestInstruction | undefined {
    const instruction = fetchInstruction(this.guest, BigInt(at));
    const length = instruction?.decoded.length ?? 1;
    for (const offset of [0, length - 1]) {
      const linear = this.linearAt(at + offset);
      const physical = linear === undefined ? undefined : this.guest.translate(linear);
      if (linear === undefined || physical === undefined) continue;
      this.guest.memory.touch(linear);
      pages.add(physical >> pageShift);
    }
    return instruction;
  }

  private physicalAt(rip: number): bigint | undefined {
    const linear = this.linearAt(rip);
    return linear === undefined ? undefined : this.guest.translate(linear);
  }

  private linearAt(rip: number): bigint | undefined {
    const at = linearOf(this.guest, "CS", BigInt(rip >>> 0), 1);
    return "fault" in at ? undefined : at.linear;
  }

  /** Whether a block goes on at an address: it is of few pages, because a change of any of them drops it. */
  private mayFollow(at: number, pages: ReadonlySet<bigint>): boolean {
    const physical = this.physicalAt(at);
    return physical !== undefined && (pages.has(physical >> pageShift) || pages.size < pageLimit);
  }

  private mustCallOut(instruction: GuestInstruction, at: number): boolean {
    if (isSensitive(instruction, this.parts.instructions) || usesOwnSegment(instruction)) return true;
    if (this.mayLeaveSegment(instruction) || !mayExecute(this.guest, instruction)) return true;
    const physical = this.physicalAt(at);
    return physical === undefined || this.parts.ringZero.hasPoint(physical);
  }

  /** Whether a branch may lead beyond the guest's code segment: the fault is the branch's own then. */
  private mayLeaveSegment({ decoded }: GuestInstruction): boolean {
    const { mnemonic, operands } = decoded.value;
    if (!mnemonic.startsWith("ret") && !/^(j|call|loop)/.test(mnemonic)) return false;
    const [operand] = operands;
    const isDirect = operand?.kind === "immediate" && !mnemonic.startsWith("ret");
    const furthest = isDirect ? Number(operand.value) : highestOffset;
    const cs = this.guest.segment("CS");
    return furthest > cs.limitBytes && !isCut(cs);
  }

  /** Emits one instruction; where the block goes on, undefined where it ends. */
  private emit(draft: Draft, instruction: GuestInstruction, at: number, next: number): number | undefined {
    const { mnemonic, operands } = instruction.decoded.value;
    const [operand] = operands;
    const opcode = opcodeOf(instruction.bytes);
    const narrow = operandBytes(this.guest, instruction) === 2;
    const target = operand?.kind === "immediate" ? Number(operand.value) : undefined;
    switch (mnemonic) {
      case "jmp":
      case "call":
      case "ret":
      case "retn":
        if (narrow) draft.put(at, "callout", halt);
        else if (mnemonic.startsWith("ret")) return draft.ret(at, target ?? 0);
        else if (target !== undefined && mnemonic === "call") return draft.call(at, target, next);
        else if (target !== undefined) draft.branch(at, [0xe9], target, false);
        else if (mnemonic === "call") draft.callIndirect(at, instruction.bytes, next);
        else draft.jumpIndirect(at, instruction.bytes);
        return undefined;
      case "loop":
      case "loope":
      case "loopz":
      case "loopne":
      case "loopnz":
      case "jcxz":
      case "jecxz":
        draft.counted(at, instruction.bytes, target ?? 0);
        return next;
      default:
        break;
    }
    if (target !== undefined && (opcode.bytes[0] ?? 0) >> 4 === 7) {
      draft.branch(at, [0x0f, 0x80 | ((opcode.bytes[0] ?? 0) & 15)], target, false);
    } else if (target !== undefined && opcode.bytes[0] === 0x0f && (opcode.bytes[1] ?? 0) >> 4 === 8) {
      draft.branch(at, [0x0f, opcode.bytes[1] ?? 0], target, false);
    } else draft.put(at, "start", instruction.bytes);
    return next;
  }
}

/** Whether the guest's tables let the instruction be fetched, from its first byte to its last. */
export function mayExecute(guest: SoftwareGuest, { rip, decoded }: GuestInstruction): boolean {
  return [rip, rip + BigInt(decoded.length - 1)].every((each) => {
    const at = linearOf(guest, "CS", each, 1);
    return !("fault" in at) && guest.memory.isCode(at.linear);
  });
}

/** The bytes from the opcode on. */
function opcodeOf(bytes: Uint8Array): { readonly prefixes: Uint8Array; readonly bytes: Uint8Array } {
  const at = bytes.findIndex((byte) => !prefixBytes.has(byte));
  return { prefixes: bytes.subarray(0, at), bytes: bytes.subarray(at) };
}

/** Whether an instruction uses GS, which is the VMM's, or data of the code segment, which is the guest's. */
function usesOwnSegment({ bytes, decoded }: GuestInstruction): boolean {
  const { prefixes } = opcodeOf(bytes);
  if (prefixes.includes(gsPrefix)) return true;
  // Before a conditional branch 2EH is a hint.
  return prefixes.includes(csPrefix) && !decoded.value.mnemonic.startsWith("j");
}

/** The operand of JMP or CALL loaded into ECX: 8B /1 in place of FF /4 and FF /2. */
function loadOfTarget(bytes: Uint8Array): number[] {
  const { prefixes, bytes: rest } = opcodeOf(bytes);
  return [...prefixes, 0x8b, ((rest[1] ?? 0) & 0xc7) | 0x08, ...rest.subarray(2)];
}

type OwnInstructions = ReturnType<typeof ownInstructions>;

const loadTop = [0x8b, 0x0c, 0x24]; // mov ecx, [esp]

/** ECX becomes 0 where it was the address. */
const lessEcx = (address: number): readonly number[] => [0x8d, 0x89, ...dword(-address)]; // lea ecx, [ecx - address]

/** Instructions of the VMM on its own data, by the linear address of those. */
const ownInstructions = (data: number) =>
  ({
    saveEcx: [0x65, 0x89, 0x0d, ...dword(data + cacheLayout.saveEcx)], // mov [gs:saveEcx], ecx
    restoreEcx: [0x65, 0x8b, 0x0d, ...dword(data + cacheLayout.saveEcx)], // mov ecx, [gs:saveEcx]
    storeTarget: [0x65, 0x89, 0x0d, ...dword(data + cacheLayout.target)], // mov [gs:target], ecx
    loadTarget: [0x65, 0x8b, 0x0d, ...dword(data + cacheLayout.target)], // mov ecx, [gs:target]
    index: [0x0f, 0xb7, 0xc9], // movzx ecx, cx
    jump: [0x65, 0xff, 0x24, 0x8d, ...dword(data + cacheLayout.lookup)], // jmp [gs:lookup + ecx*4]
  }) as const;

/**
 * Where indirect jumps end that miss. What restores ECX is, here and in a look, the guest's own jump: before it the
 * guest has no state, behind it that of the target.
 */
export function missCode(data: number): readonly Emitted[] {
  return [
    { bytes: ownInstructions(data).restoreEcx, place: { rip: 0, kind: "inner" }, overhead: false },
    { bytes: halt, place: { rip: 0, kind: "miss" }, overhead: true },
  ];
}

/** A block as it grows. */
class Draft {
  private readonly code: Emitted[] = [];
  private readonly exits: { readonly target: number; readonly branchAt: number }[] = [];
  /** Where the calls return that the block has followed, the innermost last. */
  private readonly returns: number[] = [];
  length = 0;

  constructor(private readonly own: OwnInstructions) {}

  put(rip: number, kind: Place["kind"], bytes: ArrayLike<number>, overhead = false): void {
    this.code.push({ bytes: Array.from(bytes), place: { rip, kind }, overhead });
    this.length += bytes.length;
  }

  /** A branch with a distance of 32 bits, by its opcode. */
  branch(
    rip: number,
    opcode: readonly number[],
    target: number,
    overhead: boolean,
    kind: Place["kind"] = "start",
  ): void {
    this.exits.push({ target, branchAt: this.length + opcode.length });
    this.put(rip, kind, [...opcode, 0, 0, 0, 0], overhead);
  }

  /** LOOP and JECXZ reach 127 bytes only: taken, they go to a branch that reaches farther. */
  counted(rip: number, bytes: Uint8Array, target: number): void {
    const short = Array.from(bytes);
    short[short.length - 1] = 2;
    this.put(rip, "start", short, true);
    // Either way the second jump ends the guest's instruction.
    this.put(rip, "inner", [0xeb, nearJumpBytes]);
    this.branch(rip, [0xe9], target, false, "inner");
  }

  /** CALL pushes the guest's address, and the block goes on where it leads, or jumps there. */
  call(rip: number, target: number, next: number): number | undefined {
    const push = [0x68, ...dword(next)];
    if (this.returns.length < depthLimit) {
      this.returns.push(next);
      this.put(rip, "start", push);
      return target;
    }
    this.put(rip, "start", push, true);
    this.branch(rip, [0xe9], target, false, "inner");
    return undefined;
  }

  /** RET goes where the stack says: mostly behind the CALL that the block has followed, and so does the block. */
  ret(rip: number, released: number): number | undefined {
    const { own } = this;
    const release = [0x8d, 0xa4, 0x24, ...dword(4 + released)]; // lea esp, [esp + 4 + released]
    const away = [own.storeTarget, release, own.index, own.jump];
    const expected = this.returns.pop();
    this.put(rip, "start", own.saveEcx, true);
    this.put(rip, "start", loadTop, true);
    if (expected === undefined) {
      this.inner(rip, away);
      return undefined;
    }
    const otherwise = [loadTop, ...away];
    this.inner(rip, [lessEcx(expected), [0xe3, otherwise.flat().length]]); // jecxz behind the other way
    this.inner(rip, [...otherwise, own.restoreEcx]);
    this.put(rip, "inner", release);
    return expected;
  }

  jumpIndirect(rip: number, bytes: Uint8Array): void {
    const { own } = this;
    this.put(rip, "start", own.saveEcx, true);
    this.put(rip, "start", loadOfTarget(bytes), true);
    this.inner(rip, [own.storeTarget, own.index, own.jump]);
  }

  /** The push may fault: ECX is the guest's there. */
  callIndirect(rip: number, bytes: Uint8Array, next: number): void {
    const { own } = this;
    this.put(rip, "start", own.saveEcx, true);
    this.put(rip, "start", loadOfTarget(bytes), true);
    this.inner(rip, [own.storeTarget, own.restoreEcx]);
    this.put(rip, "start", [0x68, ...dword(next)], true);
    this.inner(rip, [own.loadTarget, own.index, own.jump]);
  }

  /** Instructions in which the guest has no state, and of which none is its own. */
  inner(rip: number, sequence: readonly (readonly number[])[]): void {
    for (const bytes of sequence) this.put(rip, "inner", bytes, true);
  }

  /** Code with stubs for its exits behind it. */
  finish(): readonly Emitted[] {
    for (const { target, branchAt } of this.exits) {
      const distance = dword(this.length - (branchAt + 4));
      this.patch(branchAt, distance);
      this.code.push({ bytes: halt, place: { rip: target, kind: "exit", branchAt }, overhead: true });
      this.length += 1;
    }
    return this.code;
  }

  /** Replaces the last four bytes of the instruction that ends at an offset. */
  private patch(branchAt: number, distance: readonly number[]): void {
    let at = 0;
    for (const [index, emitted] of this.code.entries()) {
      at += emitted.bytes.length;
      if (at !== branchAt + 4) continue;
      this.code[index] = { ...emitted, bytes: [...emitted.bytes.slice(0, -4), ...distance] };
      return;
    }
  }
}
