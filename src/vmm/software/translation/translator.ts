// From the guest's code to code of the cache, a block at a time: what is not sensitive is copied, branches lead to
// translations, and everything else is left to the VMM by an instruction that faults in ring 1 (HLT).
//
// Sequences change no flag: they move, add by LEA, and test by JECXZ. While translated code runs, GS is the VMM's segment;
// instructions that use GS, or CS as data, are left to the VMM.

import { fetchInstruction, operandBytes, type GuestInstruction } from "../../emulation/instruction.js";
import { linearOf } from "../../emulation/operands.js";
import type { SoftwareGuest } from "../shared/software-guest.js";
import type { SoftwareVcpuParts } from "../shared/software-vcpu.js";
import { cacheLayout, type Block, type CodeCache, type Emitted, type Place } from "./code-cache.js";
import { isSensitive } from "./sensitive.js";

/** Instructions of the guest in a block at most. */
const blockLimit = 64;
const pageShift = 12n;
const halt = [0xf4];
const prefixBytes: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
const gsPrefix = 0x65;
const csPrefix = 0x2e;

/** Bytes of a little-endian doubleword. */
const dword = (value: number): number[] => [value, value >>> 8, value >>> 16, value >>> 24].map((byte) => byte & 0xff);

export class Translator {
  constructor(
    private readonly guest: SoftwareGuest,
    private readonly parts: Pick<SoftwareVcpuParts, "ringZero" | "instructions">,
    private readonly cache: CodeCache,
  ) {}

  /** Translates the code at a RIP of the guest. */
  translate(rip: number): Block {
    const draft = new Draft(this.cache.dataLinear);
    const pages = new Set<bigint>();
    let at = rip;
    for (let count = 0; ; count++) {
      const instruction = this.fetch(at, pages);
      if (instruction === undefined || this.mustCallOut(instruction, at)) {
        draft.put(at, "callout", halt);
        break;
      }
      const next = (at + instruction.decoded.length) >>> 0;
      if (!this.emit(draft, instruction, at, next)) break;
      at = next;
      if (count >= blockLimit || !this.samePage(at, pages)) {
        draft.branch(at, [0xe9], at, true);
        break;
      }
    }
    return this.cache.add(rip, [...pages], draft.finish());
  }

  private fetch(at: number, pages: Set<bigint>): GuestInstruction | undefined {
    const instruction = fetchInstruction(this.guest, BigInt(at));
    const length = instruction?.decoded.length ?? 1;
    for (const offset of [0, length - 1]) {
      const physical = this.physicalAt(at + offset);
      if (physical !== undefined) pages.add(physical >> pageShift);
    }
    return instruction;
  }

  private physicalAt(rip: number): bigint | undefined {
    const at = linearOf(this.guest, "CS", BigInt(rip >>> 0), 1);
    return "fault" in at ? undefined : this.guest.translate(at.linear);
  }

  /** A block stays in the page where it begins, so that its code can be followed. */
  private samePage(at: number, pages: Set<bigint>): boolean {
    const physical = this.physicalAt(at);
    const [first] = pages;
    return physical !== undefined && physical >> pageShift === first;
  }

  private mustCallOut(instruction: GuestInstruction, at: number): boolean {
    if (isSensitive(instruction, this.parts.instructions) || usesOwnSegment(instruction)) return true;
    const physical = this.physicalAt(at);
    return physical === undefined || this.parts.ringZero.hasPoint(physical);
  }

  /** Emits one instruction; false where the block ends with it. */
  private emit(draft: Draft, instruction: GuestInstruction, at: number, next: number): boolean {
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
        else if (mnemonic.startsWith("ret")) draft.ret(at, target ?? 0);
        else if (target === undefined) draft.indirect(at, instruction.bytes, mnemonic === "call" ? next : undefined);
        else if (mnemonic === "call") draft.call(at, target, next);
        else draft.branch(at, [0xe9], target, false);
        return false;
      case "loop":
      case "loope":
      case "loopz":
      case "loopne":
      case "loopnz":
      case "jcxz":
      case "jecxz":
        draft.counted(at, instruction.bytes, target ?? 0);
        return true;
      default:
        break;
    }
    if (target !== undefined && (opcode.bytes[0] ?? 0) >> 4 === 7) {
      draft.branch(at, [0x0f, 0x80 | ((opcode.bytes[0] ?? 0) & 15)], target, false);
    } else if (target !== undefined && opcode.bytes[0] === 0x0f && (opcode.bytes[1] ?? 0) >> 4 === 8) {
      draft.branch(at, [0x0f, opcode.bytes[1] ?? 0], target, false);
    } else draft.put(at, "start", instruction.bytes);
    return true;
  }
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

/** A block as it grows. */
class Draft {
  private readonly code: Emitted[] = [];
  private readonly exits: { readonly target: number; readonly branchAt: number }[] = [];
  private length = 0;

  constructor(private readonly data: number) {}

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
    this.put(rip, "start", short);
    this.put(rip, "inner", [0xeb, 5], true);
    this.branch(rip, [0xe9], target, true, "inner");
  }

  /** CALL pushes the guest's address and jumps. */
  call(rip: number, target: number, next: number): void {
    this.put(rip, "start", [0x68, ...dword(next)], true);
    this.branch(rip, [0xe9], target, false, "inner");
  }

  /** RET takes its target from the stack, looks it up, and goes there with the stack as RET leaves it. */
  ret(rip: number, released: number): void {
    this.lookUp(rip, [0x8b, 0x04, 0x24]); // mov eax, [esp]
    this.put(rip, "inner", [0x8d, 0xa4, 0x24, ...dword(4 + released)], true); // lea esp, [esp + 4 + released]
    this.jump(rip);
  }

  /** JMP and CALL through a register or memory; `next` is what a CALL pushes. */
  indirect(rip: number, bytes: Uint8Array, next: number | undefined): void {
    const { prefixes, bytes: rest } = opcodeOf(bytes);
    // The same operand, loaded into EAX: 8B /r in place of FF /2 and FF /4.
    const modrm = (rest[1] ?? 0) & 0xc7;
    this.lookUp(rip, [...prefixes, 0x8b, modrm, ...rest.subarray(2)]);
    // The registers are back: a fault of the push has the state before the CALL.
    if (next !== undefined) this.put(rip, "start", [0x68, ...dword(next)], true);
    this.jump(rip);
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

  /** Loads EAX as given, finds the translation of that address, and leaves it in the save area, registers restored. */
  private lookUp(rip: number, load: readonly number[]): void {
    const { data } = this;
    const saveEax = dword(data + cacheLayout.saveEax);
    const saveEcx = dword(data + cacheLayout.saveEcx);
    const jump = dword(data + cacheLayout.jump);
    const tags = dword(data + cacheLayout.lookup);
    const targets = dword(data + cacheLayout.lookup + 4);
    const inner = (bytes: readonly number[]): void => this.put(rip, "inner", bytes, true);
    this.put(rip, "start", [0x65, 0xa3, ...saveEax], true); // mov [gs:saveEax], eax
    this.put(rip, "start", [0x65, 0x89, 0x0d, ...saveEcx], true); // mov [gs:saveEcx], ecx
    this.put(rip, "start", load, true);
    inner([0x0f, 0xb7, 0xc8]); // movzx ecx, ax
    inner([0x65, 0x8b, 0x0c, 0xcd, ...tags]); // mov ecx, [gs:tags + ecx*8]
    inner([0x8d, 0x0c, 0x01]); // lea ecx, [ecx + eax]
    inner([0xe3, 1]); // jecxz found
    this.put(rip, "miss", halt, true);
    inner([0x0f, 0xb7, 0xc8]); // found: movzx ecx, ax
    inner([0x65, 0x8b, 0x0c, 0xcd, ...targets]); // mov ecx, [gs:targets + ecx*8]
    inner([0x65, 0x89, 0x0d, ...jump]); // mov [gs:jump], ecx
    inner([0x65, 0xa1, ...saveEax]); // mov eax, [gs:saveEax]
    inner([0x65, 0x8b, 0x0d, ...saveEcx]); // mov ecx, [gs:saveEcx]
  }

  /** The jump at the end of a sequence: this one is the guest's instruction. */
  private jump(rip: number): void {
    this.put(rip, "inner", [0x65, 0xff, 0x25, ...dword(this.data + cacheLayout.jump)]);
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
