// Reads the manual's notation of forms (Intel SDM vol. 2, "Interpreting the Instruction Reference Pages").
//
// Opcode words, in this order:
//   NP 66 F3 F2       mandatory prefix; NP: none of the three. Nothing said: prefixes do not choose the form.
//   NFx               neither F3 nor F2
//   o16 o32 o64       operand size; an o32 form also answers where REX.W stands and no o64 form is there
//   a16 a32 a64       address size
//   REX.W             operand size 64 by REX.W (the same as o64 where the default is not 64)
//   REX.B0            REX.B is 0 (NOP, which is XCHG with the same register twice)
//   VEX.LZ.0F38.W0    VEX with its L (LZ, L0, L1, LIG), mandatory prefix (NP, 66, F3, F2), map and W (W0, W1, WIG)
//   0F AE             opcode bytes; where the opcode has a ModRM byte, one more byte is its value
//   +r  +i            the low three bits of the last byte name a general or an x87 register
//   9B               an FWAIT in front, which is an instruction of its own when decoding
//   /r  /0 … /7       a ModRM byte, with a register or an extension of the opcode in its reg field
//   ib iw id iq       immediates; cb cw cd branch displacements; cp cf far pointers (4 and 6 bytes); mo memory offset
//
// Operands: r8 … r64 (in ModRM.reg, with +r in the opcode, a second one in VEX.vvvv; `(rm)`: in ModRM.rm, never memory;
// `(both)`: in both fields; of xmm and ymm `(vex)`: in VEX.vvvv, `(is4)`: in bits 7:4 of an immediate), r/m8 … r/m64, r32/m16 (a register of one size or memory of another), m, m8 …, m16&32, Sreg CRn DRn,
// imm8 …, simm8 and simm32 (sign-extended to the operand size), uimm32 (zero-extended), rel8 …, ptr16:32, m16:32, moffs8 …,
// registers by name, the constants 1 and 3, src8 and dst8 … of string instructions, xmm, ymm, mm, ST(i), ST0.

import { assert } from "../base/index.js";
import { decodeMaps, type OperandKind } from "./decode-record.js";
import { registerByName } from "./registers.js";
import type { Form } from "./instruction.js";

/** One operand of a form. */
export interface OperandForm {
  /** As in the row, without its access. */
  readonly text: string;
  readonly kind: OperandKind;
  /** Width in bytes of the register or memory; 0 where it is not fixed. */
  readonly width: number;
  /** As in the record: fixed register, constant, bytes of sign extension, or the register's width where it differs. */
  readonly argument: number;
  readonly read: boolean;
  readonly write: boolean;
  /** `uimm32`: the value must fit unsigned. `(both)`: a register in both ModRM fields. `m16&32`: no size word fits. */
  readonly special?: "unsigned" | "both" | "sizeless";
}

export type ModrmForm =
  | { readonly kind: "none" }
  | { readonly kind: "register" }
  | { readonly kind: "extension"; readonly reg: number }
  | { readonly kind: "byte"; readonly value: number; readonly plusRegister: boolean };

/** A form, read. */
export interface FormEncoding {
  readonly map: number;
  readonly opcode: number;
  /** 0 none allowed, 1 66, 2 F3, 3 F2; absent: prefixes do not choose the form. */
  readonly mandatoryPrefix?: 0 | 1 | 2 | 3;
  /** Neither F3 nor F2 may stand there. */
  readonly noRepeat: boolean;
  /** 0 not said, 1 16, 2 32, 3 64. */
  readonly operandSize: 0 | 1 | 2 | 3;
  readonly addressSize: 0 | 1 | 2 | 3;
  /** REX.W or VEX.W; absent where it does not matter. */
  readonly w?: 0 | 1;
  readonly vex: boolean;
  readonly vexL?: 0 | 1;
  readonly rexB0: boolean;
  /** FWAIT stands in front. */
  readonly wait: boolean;
  readonly plusRegister: boolean;
  readonly modrm: ModrmForm;
  /** Bytes of the immediates that follow. */
  readonly immediate1: number;
  readonly immediate2: number;
  readonly operands: readonly OperandForm[];
}

type Draft = { -readonly [K in keyof FormEncoding]: FormEncoding[K] };

const mandatory: Readonly<Record<string, 0 | 1 | 2 | 3>> = { NP: 0, "66": 1, F3: 2, F2: 3 };
const sizes: Readonly<Record<string, 1 | 2 | 3>> = { "16": 1, "32": 2, "64": 3 };
const immediateBytes: Readonly<Record<string, number>> = {
  ib: 1,
  iw: 2,
  id: 4,
  iq: 8,
  cb: 1,
  cw: 2,
  cd: 4,
};

const read = new WeakMap<Form, FormEncoding>();

/** The parts of a form; read once, kept with the form. */
export function encodingOf(form: Form): FormEncoding {
  let encoding = read.get(form);
  if (encoding === undefined) {
    encoding = readForm(form);
    read.set(form, encoding);
  }
  return encoding;
}

function readForm(form: Form): FormEncoding {
  const draft: Draft = {
    map: 0,
    opcode: -1,
    operandSize: 0,
    addressSize: 0,
    vex: false,
    noRepeat: false,
    rexB0: false,
    wait: false,
    plusRegister: false,
    modrm: { kind: "none" },
    immediate1: 0,
    immediate2: 0,
    operands: [],
  };
  const bytes: number[] = [];
  for (const word of form.code.split(" ")) readWord(draft, bytes, word, form.code);
  placeOpcode(draft, bytes, form.code);
  draft.operands = readOperands(draft, form);
  return draft;
}

function readWord(draft: Draft, bytes: number[], word: string, code: string): void {
  if (word.startsWith("VEX.") || word.startsWith("XOP.")) return readVex(draft, word);
  if (bytes.length === 0 && !draft.vex && draft.mandatoryPrefix === undefined && isMandatoryPrefix(word, code)) {
    draft.mandatoryPrefix = mandatory[word] ?? 0;
    return;
  }
  const size = sizes[word.slice(1)];
  if (word.startsWith("o") && size !== undefined) {
    draft.operandSize = size;
  } else if (word.startsWith("a") && size !== undefined) {
    draft.addressSize = size;
  } else if (word === "REX.W") {
    draft.operandSize = 3;
    draft.w = 1;
  } else if (word === "9B" && code.startsWith("9B ")) {
    draft.wait = true;
  } else if (word === "NFx") {
    draft.noRepeat = true;
  } else if (word === "REX.B0") {
    draft.rexB0 = true;
  } else if (word === "/r") {
    draft.modrm = { kind: "register" };
  } else if (/^\/[0-7]$/.test(word)) {
    draft.modrm = { kind: "extension", reg: Number(word[1]) };
  } else if (/^[0-9A-F]{2}(\+[ri])?$/.test(word)) {
    bytes.push(parseInt(word.slice(0, 2), 16));
    if (word.endsWith("+r")) draft.plusRegister = true;
    if (word.endsWith("+i")) draft.modrm = { kind: "byte", value: 0, plusRegister: true };
  } else readImmediate(draft, word, code);
}

/** `F3 0F …`: a prefix when opcode bytes follow; `66` alone is no opcode that a form has. */
function isMandatoryPrefix(word: string, code: string): boolean {
  if (!(word in mandatory)) return false;
  return word === "NP" || /^(66|F3|F2) ([oa]\d\d |REX\S* )*[0-9A-F]{2}/.test(code);
}

function readImmediate(draft: Draft, word: string, code: string): void {
  if (word === "cp" || word === "cf") {
    draft.immediate1 = word === "cp" ? 2 : 4;
    draft.immediate2 = 2;
    return;
  }
  if (word === "mo") return;
  const bytes = immediateBytes[word];
  assert(bytes !== undefined, `notation ${code}: unknown word ${word}`);
  if (draft.immediate1 === 0) draft.immediate1 = bytes;
  else draft.immediate2 = bytes;
}

function readVex(draft: Draft, word: string): void {
  draft.vex = true;
  draft.mandatoryPrefix = 0;
  const kind = word.slice(0, 3);
  for (const part of word.slice(4).split(".")) {
    const prefix = mandatory[part];
    if (prefix !== undefined) draft.mandatoryPrefix = prefix;
    else if (part === "LZ" || part === "L0" || part === "128") draft.vexL = 0;
    else if (part === "L1" || part === "256") draft.vexL = 1;
    else if (part === "W0") draft.w = 0;
    else if (part === "W1") draft.w = 1;
    else if (part !== "LIG" && part !== "WIG") {
      draft.map = decodeMaps.indexOf(`${kind}.${part}`);
      assert(draft.map > 0, `notation ${word}: unknown part ${part}`);
    }
  }
}

/** Splits the opcode bytes into map, opcode and, where there is one more, the value of ModRM. */
function placeOpcode(draft: Draft, bytes: readonly number[], code: string): void {
  let at = 0;
  if (!draft.vex && bytes[0] === 0x0f && bytes.length > 1) {
    at = 1;
    draft.map = 1;
    if (bytes[1] === 0x38) draft.map = 2;
    if (bytes[1] === 0x3a) draft.map = 3;
    if (draft.map > 1) at = 2;
  }
  const opcode = bytes[at];
  assert(opcode !== undefined, `notation ${code}: no opcode`);
  draft.opcode = opcode;
  const fixed = bytes[at + 1];
  if (fixed !== undefined) {
    const plusRegister = draft.modrm.kind === "byte";
    draft.modrm = { kind: "byte", value: fixed, plusRegister };
  }
}

function readOperands(draft: Draft, form: Form): OperandForm[] {
  const state = { registers: 0, immediates: 0 };
  return form.operands === ""
    ? []
    : form.operands.split(", ").map((written) => {
        const [text = "", access = "r"] = written.split(/:(?=[rw]+$)/);
        const operand = readOperand(draft, text, state, form);
        const memoryOnly = { read: access.includes("r"), write: access.includes("w") };
        return { text, width: 0, argument: 0, ...operand, ...memoryOnly };
      });
}

type OperandDraft = Partial<OperandForm> & { kind: OperandKind };

function readOperand(
  draft: Draft,
  text: string,
  state: { registers: number; immediates: number },
  form: Form,
): OperandDraft {
  const bytes = Number(/\d+/.exec(text)?.[0] ?? 0) / 8;
  if (/^r(8|16|32|64)(\(rm\)|\(both\))?$/.test(text)) {
    if (text.endsWith("(rm)")) return { kind: "rmReg", width: bytes };
    if (text.endsWith("(both)")) return { kind: "reg", width: bytes, special: "both" };
    if (draft.plusRegister) return { kind: "opcodeReg", width: bytes };
    const inReg = draft.modrm.kind === "register" && state.registers++ === 0;
    return { kind: inReg ? "reg" : "vexReg", width: bytes };
  }
  if (/^r\/m\d+$/.test(text)) return { kind: "rm", width: bytes };
  if (/^r\d+\/m\d+$/.test(text)) return { kind: "rm", width: Number(text.split("/m")[1]) / 8, argument: bytes };
  const immediate = /^([su]?)imm(8|16|32|64)$/.exec(text);
  if (immediate) {
    const kind = state.immediates++ === 0 ? "imm" : "imm2";
    const extended = immediate[1] === "s" ? operandBytes(draft, form) : 0;
    return { kind, width: bytes, argument: extended, ...(immediate[1] === "u" && { special: "unsigned" as const }) };
  }
  return readPlace(text, bytes) ?? readVector(draft, text, state) ?? readNamed(text, form);
}

/** Bytes of the operand size of a form; sign-extended immediates take it. */
function operandBytes(draft: Draft, form: Form): number {
  const bytes = [0, 2, 4, 8][draft.operandSize] ?? 0;
  assert(bytes !== 0, `notation ${form.code}: a sign-extended immediate needs an operand size`);
  return bytes;
}

function readPlace(text: string, bytes: number): OperandDraft | undefined {
  if (/^rel\d+$/.test(text)) return { kind: "rel", width: bytes };
  if (/^moffs\d+$/.test(text)) return { kind: "moffs", width: bytes };
  if (/^src\d+$/.test(text)) return { kind: "stringSource", width: bytes };
  if (/^dst\d+$/.test(text)) return { kind: "stringDestination", width: bytes };
  const far = /^(ptr|m)16:(16|32|64)$/.exec(text);
  if (far) return { kind: far[1] === "m" ? "farMemory" : "farPointer", width: 2 + Number(far[2]) / 8 };
  const pair = /^m(16|32)&(16|32|64)$/.exec(text);
  if (pair) return { kind: "mem", width: (Number(pair[1]) + Number(pair[2])) / 8, special: "sizeless" };
  const block = /^m(\d+)byte$/.exec(text);
  if (block) return { kind: "mem", width: Number(block[1]) < 256 ? Number(block[1]) : 0 };
  const gathered = /^vm(?:32|64)([xy])$/.exec(text);
  if (gathered) return { kind: "vectorMem", width: 0, argument: gathered[1] === "y" ? 1 : 0 };
  if (/^m(\d*)(fp|int|bcd)?$/.test(text)) return { kind: "mem", width: bytes };
  return undefined;
}

/** With VEX the first register lies in ModRM.reg, if that is no extension of the opcode, and the second in VEX.vvvv. */
function readVector(draft: Draft, text: string, state: { registers: number }): OperandDraft | undefined {
  const family = /^(ymm|xmm|mm)(\(rm\)|\(vex\)|\(is4\)|\/m(\d+))?$/.exec(text);
  if (!family) return undefined;
  const wide = family[1] === "ymm";
  const width = wide ? 32 : family[1] === "xmm" ? 16 : 8;
  const name = family[1] === "mm" ? "mm" : "xmm";
  const argument = wide ? 1 : 0;
  if (family[2] === "(rm)") return { kind: `${name}RmReg`, width, argument };
  if (family[2] === "(vex)") return { kind: "xmmVex", width, argument };
  if (family[2] === "(is4)") return { kind: "xmmIs4", width, argument };
  if (family[2] !== undefined) return { kind: `${name}Rm`, width: Number(family[3]) / 8, argument };
  const inReg = !draft.vex || (draft.modrm.kind === "register" && state.registers++ === 0);
  return { kind: inReg || name === "mm" ? name : "xmmVex", width, argument };
}

function readNamed(text: string, form: Form): OperandDraft {
  if (text === "Sreg") return { kind: "sreg", width: 2 };
  if (text === "CRn") return { kind: "cr" };
  if (text === "DRn") return { kind: "dr" };
  if (text === "ST(i)") return { kind: "st", width: 10 };
  if (text === "ST0") return { kind: "st0", width: 10 };
  if (/^\d$/.test(text)) return { kind: "constant", argument: Number(text) };
  const register = registerByName(text);
  assert(register !== undefined, `notation ${form.code} ${form.operands}: unknown operand ${text}`);
  const kind = register.class === "segment" ? "fixedSreg" : "fixedReg";
  return { kind, width: register.sizeBits / 8, argument: register.number };
}
