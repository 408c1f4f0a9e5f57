// Decoding: bytes to micro-ops, by the table that codec/ uses too (docs/decisions/0006-decode-table.md). Nothing here
// knows an instruction: what a form's operands are is data. The last step gives frequent forms an operation number of
// their own, so that the run loop need not look at their operands' kinds.

import {
  Cpu, cpu, CPU_BASE, KEY_CODE16, KEY_CODE32, KEY_CODE64, KEY_FLAT, KEY_REAL, KEY_SIZE, MicroOp, PREFIX_FIRST_MEMORY,
  PREFIX_LOCK, PREFIX_REP, PREFIX_REPNE, PREFIX_REX, PREFIX_SECOND_IMMEDIATE, PREFIX_SECOND_MEMORY, SEGMENT_CS,
  SEGMENT_DS, SEGMENT_FLAT, SEGMENT_FS, SEGMENT_GS, SEGMENT_SS,
} from "./layout.generated"; // prettier-ignore
import {
  DECODE_CANDIDATES, DECODE_FORMS, DECODE_SLOTS, EXEC_MOV_FROM_CR, EXEC_MOV_TO_CR, FEATURE_ALTMOVCR8, FEATURE_AVX512F,
  FORM_EXCLUSIVE, FORM_LOCKABLE, FORM_PROTECTED_ONLY, KIND_CONSTANT, KIND_CR, KIND_DR, KIND_FAR_MEMORY,
  KIND_FAR_POINTER, KIND_FIXED_REG, KIND_FIXED_SREG, KIND_IMM, KIND_IMM2, KIND_MEM, KIND_MM, KIND_MM_RM,
  KIND_MM_RM_REG, KIND_MOFFS, KIND_OPCODE_REG, KIND_REG, KIND_REL, KIND_RM, KIND_RM_REG, KIND_SREG, KIND_ST,
  KIND_STRING_SOURCE, KIND_VECTOR_MEM, KIND_VEX_REG, KIND_XMM, KIND_XMM_IS4, KIND_XMM_RM, KIND_XMM_RM_REG,
  KIND_XMM_VEX, KNOWN_EVEX_FORM, KNOWN_FORMS, MAP_0F, MAP_0F38, MAP_0F3A, MAP_ONE_BYTE, MAP_VEX_0F, MAP_XOP_8,
} from "./decode-table.generated"; // prettier-ignore
import { hasFeature, NO_REGISTER, signExtend } from "./state";
import { VARY_UNDEFINED } from "./undefined-flags";
import { Op, specialise } from "./ops";
import { isNearBranch } from "./decode-sets";

/** How decoding ends. */
export const DECODED: u32 = 0;
/** The instruction goes on behind the last byte that may be read. */
export const DECODE_SHORT: u32 = 1;

/** Offsets in the state block of RIP and of the trace's RIP, as a base. */
const RIP_REGISTER: u32 = <u32>offsetof<Cpu>("rip");
const TRACE_RIP_REGISTER: u32 = <u32>offsetof<Cpu>("traceRip");
const FORM_BYTES: u32 = 32;
const LENGTH_LIMIT: u32 = 15;

// The instruction in progress: what the prefixes and the ModRM byte said.
let at: usize = 0;
let end: usize = 0;
let start: usize = 0;
let rex: u32 = 0;
let vexRegister: u32 = 0;
let segmentOverride: u32 = 0;
let addressSize: u32 = 0;
let modrm: u32 = 0;
let isVex: bool = false;
let vexUsed: bool = false;
let short: bool = false;
let memoryDone: bool = false;
let narrowBranch: bool = false;
let noSuchOperand: bool = false;

/** Decodes the instruction at `from`; bytes at `limit` and behind are not read. Undefined opcodes decode too. */
export function decode(from: usize, limit: usize, op: MicroOp): u32 {
  start = from;
  at = from;
  end = limit;
  rex = 0;
  vexRegister = 0;
  segmentOverride = SEGMENT_FLAT;
  isVex = false;
  short = false;
  memoryDone = false;
  clear(op);
  const status = decodeBody(op);
  if (short) {
    if (<u32>(limit - from) < LENGTH_LIMIT) return DECODE_SHORT;
    op.op = <u8>Op.TOO_LONG;
    op.length = 0;
    return DECODED;
  }
  const length = <u32>(at - start);
  op.length = <u8>length;
  if (!status) op.op = <u8>Op.UNDEFINED;
  if (length > LENGTH_LIMIT) {
    op.op = <u8>Op.TOO_LONG;
    op.length = 0;
  }
  return DECODED;
}

/**
 * Puts a decoded instruction behind so many bytes of its trace. A hot operation does not find its RIP in the state: its
 * operand relative to RIP becomes one relative to the trace's.
 */
export function placeInTrace(op: MicroOp, offset: u32): void {
  op.offset = <u8>offset;
  if (op.base != <u8>RIP_REGISTER || op.op >= <u8>Op.COLD) return;
  const displacement = <i64>op.displacement + offset + op.length;
  op.displacement = <i32>displacement;
  if (<i64>(<i32>displacement) == displacement) op.base = <u8>TRACE_RIP_REGISTER;
  else {
    op.displacement -= <i32>(offset + op.length);
    op.op = <u8>Op.COLD;
  }
}

function clear(op: MicroOp): void {
  memory.fill(changetype<usize>(op), 0, 32);
  op.base = <u8>NO_REGISTER;
  op.index = <u8>NO_REGISTER;
  op.segment = <u8>SEGMENT_FLAT;
  op.segmentName = <u8>SEGMENT_DS;
}

function next8(): u32 {
  if (at >= end) {
    short = true;
    return 0;
  }
  const value = load<u8>(at);
  at++;
  return value;
}

function nextBytes(bytes: u32): u64 {
  let value: u64 = 0;
  if (bytes == 0) return 0;
  if (at + bytes > end) {
    short = true;
    return 0;
  }
  if (bytes == 1) value = load<u8>(at);
  else if (bytes == 2) value = load<u16>(at);
  else if (bytes == 4) value = load<u32>(at);
  else if (bytes == 8) value = load<u64>(at);
  else for (let i: u32 = 0; i < bytes; i++) value |= (<u64>load<u8>(at + i)) << (i << 3);
  at += bytes;
  return value;
}

/** False for an undefined opcode. */
function decodeBody(op: MicroOp): bool {
  const mode = cpu.codeKey & KEY_SIZE;
  const is64 = mode == KEY_CODE64;
  let operand66: bool = false;
  let address67: bool = false;
  let prefixes: u32 = 0;
  let repeat: u32 = 0;
  let opcode: u32 = 0;

  // Step 1: legacy prefixes in any order, then REX directly before the opcode.
  for (;;) {
    opcode = next8();
    if (short) return false;
    if (opcode == 0x66) operand66 = true;
    else if (opcode == 0x67) address67 = true;
    else if (opcode == 0xf0) prefixes |= PREFIX_LOCK;
    else if (opcode == 0xf2) repeat = PREFIX_REPNE;
    else if (opcode == 0xf3) repeat = PREFIX_REP;
    else if (opcode == 0x64) segmentOverride = SEGMENT_FS;
    else if (opcode == 0x65) segmentOverride = SEGMENT_GS;
    else if ((opcode & 0xe7) == 0x26) {
      // ES, CS, SS and DS overrides mean nothing in 64-bit mode.
      if (!is64) segmentOverride = (opcode >> 3) & 3;
    } else if (is64 && (opcode & 0xf0) == 0x40) {
      rex = opcode;
      continue;
    } else break;
    rex = 0;
    if (<u32>(at - start) >= LENGTH_LIMIT) {
      short = at >= end;
      at += 1;
      return true;
    }
  }

  // Step 2: the map, from escapes or VEX or XOP.
  let map: u32 = MAP_ONE_BYTE;
  let vexBits: u32 = 0;
  if (opcode == 0x0f) {
    map = MAP_0F;
    opcode = next8();
    if (opcode == 0x38 || opcode == 0x3a) {
      map = opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
      opcode = next8();
    }
  } else if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x8f) {
    if (at >= end) {
      short = true;
      return false;
    }
    const following = <u32>load<u8>(at);
    const isPrefix = opcode == 0x8f ? (following & 0x1f) >= 8 : is64 || (following & 0xc0) == 0xc0;
    if (isPrefix) {
      if (operand66 || repeat != 0 || rex != 0 || (prefixes & PREFIX_LOCK) != 0) return false;
      if ((cpu.codeKey & KEY_REAL) != 0) return false;
      isVex = true;
      vexBits = decodeVex(opcode, is64);
      if (short || vexBits == 0) return false;
      map = vexBits >> 16;
      opcode = next8();
    }
  } else if (opcode == 0x62 && hasFeature(FEATURE_AVX512F) && (cpu.codeKey & KEY_REAL) == 0) {
    // EVEX: outside 64-bit mode it is told from BOUND by the register form of what follows.
    if (at < end && (is64 || load<u8>(at) >= 0xc0)) return endUnsupported(op, KNOWN_EVEX_FORM);
  }
  if (short) return false;
  if (map > MAP_XOP_8 + 2) return false;

  // Step 3: the key.
  const slot = load<u32>(DECODE_SLOTS + (((map << 8) | opcode) << 2));
  if ((slot & 0x1000000) != 0) {
    modrm = next8();
    if (short) return false;
  } else modrm = 0;
  const modIgnored = (slot & 0x2000000) != 0;
  const wide = isVex ? (vexBits & 0x400) != 0 : (rex & 8) != 0;
  let operandSize: u32 = mode == KEY_CODE16 ? 1 : 2;
  if (operand66) operandSize ^= 3;
  if (wide && is64) operandSize = 3;
  addressSize = is64 ? (address67 ? 2 : 3) : mode == KEY_CODE32 ? (address67 ? 1 : 2) : address67 ? 2 : 1;
  const mandatory: u32 = isVex
    ? (vexBits >> 8) & 3
    : repeat == PREFIX_REP
      ? 2
      : repeat == PREFIX_REPNE
        ? 3
        : operand66
          ? 1
          : 0;
  let key = modrm | (mandatory << 8) | (operandSize << 11) | (addressSize << 13);
  if (wide) key |= 0x400;
  key |= (rex & 1) << 19;
  if (is64) key |= 0x8000;
  if (isVex) key |= ((vexBits >> 12) & 1) << 16;
  if (modIgnored || modrm >= 0xc0) key |= 0x40000;

  // Step 4: the first candidate that fits.
  const form = findForm(slot, key);
  if (form == 0xffff) return false;
  if (form >= KNOWN_FORMS) return endUnsupported(op, form);
  const record: usize = DECODE_FORMS + form * FORM_BYTES;
  const flags = load<u32>(record, 24);
  if ((flags & FORM_PROTECTED_ONLY) != 0 && (cpu.codeKey & KEY_REAL) != 0) return false;
  op.form = <u16>form;
  op.argument = load<u8>(record, 2);
  op.prefixes = <u8>(prefixes | repeat | (rex != 0 ? PREFIX_REX : 0));
  op.addressShift = <u8>(addressSize == 3 ? 0 : addressSize == 2 ? 32 : 48);
  const size = <u32>load<u8>(record, 20);
  op.operandBytes = <u8>(size == 0 ? 0 : (<u32>1) << size);
  narrowBranch = is64 && operand66 && !wide && cpu.vendor != 0 && isNearBranch(<u32>load<u16>(record));
  if (narrowBranch) op.operandBytes = 2;

  // Step 5: operands.
  const modIsRegister = modIgnored || modrm >= 0xc0;
  const count = <u32>load<u8>(record, 3);
  noSuchOperand = false;
  vexUsed = false;
  for (let i: u32 = 0; i < count; i++) decodeOperand(op, record, i, opcode, modIsRegister);
  // A register in VEX.vvvv that the form does not have: the field must be 1111B.
  if (short || noSuchOperand || (isVex && !vexUsed && vexRegister != 0)) return false;
  if (!memoryDone && segmentOverride != SEGMENT_FLAT) setSegment(op, segmentOverride);
  const execute = <u32>load<u16>(record);
  if ((op.prefixes & PREFIX_LOCK) != 0 && !namesTaskPriority(op, execute)) {
    if ((flags & FORM_LOCKABLE) == 0 || (op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) == 0) return false;
  }
  op.op = <u8>specialise(op, execute, flags);
  // The run loop's own operations know nothing of the knob.
  if ((cpu.variation & VARY_UNDEFINED) != 0 && load<u16>(record, 30) != 0) op.op = <u8>Op.COLD;
  return true;
}

/** LOCK MOV with CR0 is MOV with CR8, in every mode, where the model has it (AMD APM vol. 3, "MOV CRn"). */
function namesTaskPriority(op: MicroOp, execute: u32): bool {
  const writes = execute == EXEC_MOV_TO_CR;
  if ((!writes && execute != EXEC_MOV_FROM_CR) || !hasFeature(FEATURE_ALTMOVCR8)) return false;
  if ((writes ? op.first : op.second) != 0) return false;
  if (writes) op.first = 8;
  else op.second = 8;
  return true;
}

/** An opcode of a set that the model's processor has and this machine does not execute: no #UD, but the run's end. */
function endUnsupported(op: MicroOp, form: u32): bool {
  op.op = <u8>Op.COLD;
  op.form = <u16>form;
  return true;
}

/** Number of the form, 0xffff for none. */
function findForm(slot: u32, key: u32): u32 {
  let candidate: usize = DECODE_CANDIDATES + (slot & 0xffff) * 12;
  const count = (slot >> 16) & 0xff;
  for (let i: u32 = 0; i < count; i++) {
    if ((key & load<u32>(candidate)) == load<u32>(candidate, 4)) {
      // What the model lacks is not there: LZCNT is then BSR, and a hint a NOP.
      const form = load<u32>(candidate, 8);
      const record: usize = DECODE_FORMS + form * FORM_BYTES;
      const feature = <u32>load<u16>(record, 28);
      if (feature == 0 || hasFeature(feature)) return form;
      if ((load<u32>(record, 24) & FORM_EXCLUSIVE) != 0) return 0xffff;
    }
    candidate += 12;
  }
  return 0xffff;
}

/** Bits 31-16 the map, 12 L, 10 W, 9-8 mandatory prefix; 0 where the prefix is not valid. */
function decodeVex(first: u32, is64: bool): u32 {
  let bits: u32 = 0;
  let map: u32;
  let last: u32;
  if (first == 0xc5) {
    last = next8();
    rex = (last & 0x80) != 0 ? 0 : 4;
    map = MAP_VEX_0F;
    last &= 0x7f;
  } else {
    const middle = next8();
    last = next8();
    rex = ((middle >> 5) ^ 7) & 7;
    const selected = middle & 0x1f;
    if (first == 0xc4) {
      if (selected < 1 || selected > 3) return 0;
      map = MAP_VEX_0F + selected - 1;
    } else {
      if (selected < 8 || selected > 10) return 0;
      map = MAP_XOP_8 + selected - 8;
    }
  }
  if (!is64) rex = 0;
  vexRegister = ((last >> 3) & 15) ^ 15;
  if (!is64) vexRegister &= 7;
  bits = (map << 16) | ((last & 3) << 8) | ((last & 4) << 10);
  if ((last & 0x80) != 0) bits |= 0x400;
  return bits;
}

/** Offset of a general register in the state block; byte registers 4 to 7 without REX are AH, CH, DH, BH. */
function registerOffset(number: u32, width: u32): u32 {
  if (width == 1 && rex == 0 && !isVex && number >= 4 && number < 8) return ((number - 4) << 3) + 1;
  return number << 3;
}

function decodeOperand(op: MicroOp, record: usize, position: u32, opcode: u32, modIsRegister: bool): void {
  const operand = record + 4 + (position << 2);
  const kind = <u32>load<u8>(operand);
  const width = <u32>load<u8>(operand, 1);
  const argument = <u32>load<u8>(operand, 2);
  if (op.operandBytes == 0) op.operandBytes = <u8>width;
  if (kind == KIND_REG) setOperand(op, position, registerOffset(((modrm >> 3) & 7) | ((rex & 4) << 1), width));
  else if (kind == KIND_RM || kind == KIND_MEM || kind == KIND_FAR_MEMORY || kind == KIND_RM_REG) {
    if (modIsRegister) setOperand(op, position, registerOffset((modrm & 7) | ((rex & 1) << 3), width));
    else memoryOperand(op, position, record);
  } else if (
    kind == KIND_XMM_RM ||
    kind == KIND_MM_RM ||
    kind == KIND_XMM_RM_REG ||
    kind == KIND_MM_RM_REG ||
    kind == KIND_ST
  ) {
    if (modIsRegister)
      setOperand(op, position, (modrm & 7) | (kind == KIND_XMM_RM || kind == KIND_XMM_RM_REG ? (rex & 1) << 3 : 0));
    else memoryOperand(op, position, record);
  } else if (kind == KIND_XMM) setOperand(op, position, ((modrm >> 3) & 7) | ((rex & 4) << 1));
  else if (kind == KIND_MM) setOperand(op, position, (modrm >> 3) & 7);
  else if (kind == KIND_OPCODE_REG) setOperand(op, position, registerOffset((opcode & 7) | ((rex & 1) << 3), width));
  else if (kind == KIND_VEX_REG || kind == KIND_XMM_VEX) {
    vexUsed = true;
    setOperand(op, position, kind == KIND_VEX_REG ? vexRegister << 3 : vexRegister);
  }
  else if (kind == KIND_FIXED_REG)
    setOperand(op, position, argument >= 4 && width == 1 ? ((argument - 4) << 3) + 1 : argument << 3);
  else if (kind == KIND_SREG) segmentOperand(op, position);
  else if (kind == KIND_FIXED_SREG) setOperand(op, position, argument);
  else if (kind == KIND_CR || kind == KIND_DR) setOperand(op, position, ((modrm >> 3) & 7) | ((rex & 4) << 1));
  else if (kind == KIND_VECTOR_MEM) vectorMemoryOperand(op, position, record);
  else if (kind == KIND_XMM_IS4) op.immediate = <i64>nextBytes(1);
  else if (kind == KIND_STRING_SOURCE) setSegment(op, segmentOverride == SEGMENT_FLAT ? SEGMENT_DS : segmentOverride);
  else immediateOperand(op, record, position, kind, argument);
}

/** Segment registers end at 5, and CS cannot be the destination (Intel SDM vol. 2, "MOV"). */
function segmentOperand(op: MicroOp, position: u32): void {
  const number = (modrm >> 3) & 7;
  noSuchOperand = number > SEGMENT_GS || (number == SEGMENT_CS && position == 0);
  setOperand(op, position, number);
}

function immediateOperand(op: MicroOp, record: usize, position: u32, kind: u32, argument: u32): void {
  let bytes = <u32>load<u8>(record, 21);
  if (narrowBranch && kind == KIND_REL && bytes == 4) bytes = 2;
  if (kind == KIND_IMM || kind == KIND_REL) {
    const value = nextBytes(bytes);
    const extend = kind == KIND_REL || argument != 0;
    setImmediate(op, position, extend ? <i64>signExtend(value, bytes) : <i64>value);
  } else if (kind == KIND_IMM2) op.immediate |= <i64>(nextBytes(load<u8>(record, 22)) << 32);
  else if (kind == KIND_CONSTANT) setImmediate(op, position, argument);
  else if (kind == KIND_FAR_POINTER) {
    const offset = nextBytes(bytes);
    setImmediate(op, position, <i64>(offset | (nextBytes(2) << 32)));
  } else if (kind == KIND_MOFFS) {
    const address = nextBytes(addressSize == 3 ? 8 : addressSize == 2 ? 4 : 2);
    op.immediate = <i64>address;
    op.displacement = <i32>address;
    markMemory(op, position);
    setSegment(op, segmentOverride == SEGMENT_FLAT ? SEGMENT_DS : segmentOverride);
  }
}

function setOperand(op: MicroOp, position: u32, offset: u32): void {
  if (position == 0) op.first = <u8>offset;
  else if (position == 1) {
    op.second = <u8>offset;
    op.source = CPU_BASE + offset;
  } else op.argument = <u8>offset;
}

function setImmediate(op: MicroOp, position: u32, value: i64): void {
  op.immediate = value;
  if (position != 1) return;
  op.prefixes |= <u8>PREFIX_SECOND_IMMEDIATE;
  op.source = <u32>(changetype<usize>(op) + offsetof<MicroOp>("immediate"));
}

function markMemory(op: MicroOp, position: u32): void {
  op.prefixes |= <u8>(position == 0 ? PREFIX_FIRST_MEMORY : PREFIX_SECOND_MEMORY);
}

/** Names the segment of the memory operand, and says whether base and checks can be left out. */
function setSegment(op: MicroOp, number: u32): void {
  op.segmentName = <u8>number;
  const plain = number != SEGMENT_FS && number != SEGMENT_GS;
  const mode = cpu.codeKey & KEY_SIZE;
  const free = plain && (mode == KEY_CODE64 || ((cpu.codeKey & KEY_FLAT) != 0 && number != SEGMENT_CS));
  op.segment = <u8>(free ? SEGMENT_FLAT : number);
}

/** The ModRM memory forms (SDM vol. 2, "Addressing-Mode Encoding of ModR/M and SIB Bytes"). */
function memoryOperand(op: MicroOp, position: u32, record: usize): void {
  markMemory(op, position);
  if (memoryDone) return;
  memoryDone = true;
  if (addressSize == 1) memoryOperand16(op);
  else memoryOperand32(op);
  const named = op.segmentName;
  setSegment(op, segmentOverride == SEGMENT_FLAT ? named : segmentOverride);
}

/** The index is a vector, which the second operand names (SDM vol. 2, "Vector SIB (VSIB) Memory Addressing"). */
function vectorMemoryOperand(op: MicroOp, position: u32, record: usize): void {
  if (addressSize == 1 || (modrm & 7) != 4) {
    noSuchOperand = true;
    return;
  }
  const sib: u32 = at < end ? load<u8>(at) : 0;
  memoryOperand(op, position, record);
  op.index = <u8>NO_REGISTER;
  op.scale = <u8>(sib >> 6);
  op.second = <u8>(((sib >> 3) & 7) | ((rex & 2) << 2));
}

function memoryOperand16(op: MicroOp): void {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  const BX: u8 = 3 << 3;
  const BP: u8 = 5 << 3;
  const SI: u8 = 6 << 3;
  const DI: u8 = 7 << 3;
  if (rm == 0 || rm == 1 || rm == 7) op.base = BX;
  else if (rm == 2 || rm == 3 || (rm == 6 && mod != 0)) op.base = BP;
  if (rm == 0 || rm == 2 || rm == 4) op.index = SI;
  else if (rm == 1 || rm == 3 || rm == 5) op.index = DI;
  if (op.base == BP) op.segmentName = <u8>SEGMENT_SS;
  if (mod == 1) op.displacement = <i32>signExtend(nextBytes(1), 1);
  else if (mod == 2 || (mod == 0 && rm == 6)) op.displacement = <i32>signExtend(nextBytes(2), 2);
}

function memoryOperand32(op: MicroOp): void {
  const mod = modrm >> 6;
  let base = modrm & 7;
  let hasBase = true;
  if (base == 4) {
    const sib = next8();
    base = sib & 7;
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index != 4) {
      op.index = <u8>(index << 3);
      op.scale = <u8>(sib >> 6);
    }
    if (base == 5 && mod == 0) hasBase = false;
  } else if (base == 5 && mod == 0) {
    // Without a base: an absolute address, relative to RIP in 64-bit mode.
    hasBase = false;
    if ((cpu.codeKey & KEY_SIZE) == KEY_CODE64) op.base = <u8>RIP_REGISTER;
  }
  if (hasBase) {
    if (base == 4 || base == 5) {
      if ((rex & 1) == 0) op.segmentName = <u8>SEGMENT_SS;
    }
    op.base = <u8>((base | ((rex & 1) << 3)) << 3);
  }
  if (mod == 1) op.displacement = <i32>signExtend(nextBytes(1), 1);
  else if (mod == 2 || !hasBase) op.displacement = <i32>nextBytes(4);
}
