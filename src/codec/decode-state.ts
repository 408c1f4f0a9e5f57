// Where a decoder stands in the bytes of one instruction, and what its prefixes and opcode said so far.

import type { CodeBits } from "./instruction.js";

/** Where decoding stands, and what prefixes and opcode said. */
export interface DecodeState {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly bits: CodeBits;
  at: number;
  /** Reading went past the end of the bytes. */
  truncated: boolean;
  rex: number;
  operandOverride: boolean;
  addressOverride: boolean;
  /** 0 none, 2 F3, 3 F2, as in the key. */
  repeat: number;
  lock: boolean;
  /** Segment register number, or -1. */
  segment: number;
  vex: boolean;
  vexW: boolean;
  vexL: number;
  vexPrefix: number;
  vexRegister: number;
  map: number;
  opcode: number;
  modrm: number;
  /** The form's ModRM names a register. */
  register: boolean;
}

/** The start of an instruction. */
export function newState(bytes: Uint8Array, start: number, bits: CodeBits): DecodeState {
  return {
    bytes,
    start,
    bits,
    at: start,
    truncated: false,
    rex: 0,
    operandOverride: false,
    addressOverride: false,
    repeat: 0,
    lock: false,
    segment: -1,
    vex: false,
    vexW: false,
    vexL: 0,
    vexPrefix: 0,
    vexRegister: 0,
    map: 0,
    opcode: 0,
    modrm: 0,
    register: false,
  };
}

/** The next byte; past the end 0, and the state says so. */
export function nextByte(s: DecodeState): number {
  const byte = s.bytes[s.at];
  s.at++;
  if (byte !== undefined) return byte;
  s.truncated = true;
  return 0;
}

/** Operand size by the prefixes alone: 1 16, 2 32, 3 64. */
export function prefixOperandSize(s: DecodeState): number {
  if ((s.rex & 8) !== 0 || s.vexW) return s.bits === 64 ? 3 : 2;
  return (s.bits === 16) !== s.operandOverride ? 1 : 2;
}

/** Address size: 1 16, 2 32, 3 64. */
export function addressSize(s: DecodeState): number {
  if (s.bits === 64) return s.addressOverride ? 2 : 3;
  return (s.bits === 16) !== s.addressOverride ? 1 : 2;
}
