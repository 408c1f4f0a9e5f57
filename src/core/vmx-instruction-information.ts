// The VM-exit instruction-information field for instructions with a memory operand.
// Intel SDM vol. 3, chapter "VM Exits", "Information for VM Exits Due to Instruction Execution": its tables differ in
// details only, so one format serves; bits that a table does not define are undefined there.

import { Cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { code64 } from "./state";

const REGISTER_OPERAND: u32 = 1 << 10;
const INDEX_INVALID: u32 = 1 << 22;
const BASE_INVALID: u32 = 1 << 27;
/** Offset in the state block behind the general registers: a base or index there is none. */
const REGISTERS_END: u32 = 16 << 3;

/** Number of the register at an offset of the state block. */
function registerNumber(offset: u32): u32 {
  return offset >> 3;
}

/**
 * Scaling in bits 1:0, address size in 9:7, memory or register in 10, operand size in 11, segment in 17:15, index in
 * 21:18 and 22, base in 26:23 and 27, the register operand in 31:28; a register instead of memory in 6:3.
 */
export function instructionInformation(op: MicroOp): u32 {
  const firstInMemory = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  const secondInMemory = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  const addressSize: u32 = op.addressShift == 48 ? 0 : op.addressShift == 32 ? 1 : 2;
  const size32: u32 = op.operandBytes == 4 || code64() ? 1 << 11 : 0;
  let information = (addressSize << 7) | size32;
  if (!firstInMemory && !secondInMemory) {
    information |= REGISTER_OPERAND | (registerNumber(op.first) << 3);
    return information | (registerNumber(op.second) << 28);
  }
  information |= <u32>op.scale & 3;
  information |= <u32>op.segmentName << 15;
  information |= <u32>op.index < REGISTERS_END ? registerNumber(op.index) << 18 : INDEX_INVALID;
  information |= <u32>op.base < REGISTERS_END ? registerNumber(op.base) << 23 : BASE_INVALID;
  return information | (registerNumber(firstInMemory ? op.second : op.first) << 28);
}
