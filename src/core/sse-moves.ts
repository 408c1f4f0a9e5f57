// Moves of MMX and XMM registers, MXCSR, and the state instructions of MMX (Intel SDM vol. 2). Nothing here looks at
// what the bytes mean.

import { cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, NEXT, register, setRegisterSized } from "./state";
import { raiseProtection } from "./faults";
import { finishWrite, loadSized, operandForRead, operandForWrite, segmentedForWrite, storeSized } from "./memory";
import { widthOf } from "./operands";
import {
  isAligned, isAlignedTo, isMmx, isXmm, kindOf, lanesOf, left, mayExecuteVector, readLeft, readRight, result, right,
  usesXmm, writeResult,
} from "./sse-operands"; // prettier-ignore
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** Executes a move between registers and memory. */
export function moveVector(op: MicroOp, execute: u32): u32 {
  if (!mayMove(op, execute)) return ABORT;
  switch (execute) {
    case T.EXEC_MOVAPS:
    case T.EXEC_MOVAPD:
    case T.EXEC_MOVDQA:
    case T.EXEC_MOVNTPS:
    case T.EXEC_MOVNTPD:
    case T.EXEC_MOVNTDQ:
    case T.EXEC_MOVNTDQA: return isAlignedWhole(op) ? move(op) : ABORT;
    case T.EXEC_MOVSS: return moveScalar(op, 4);
    case T.EXEC_MOVSD_XMM: return moveScalar(op, 8);
    case T.EXEC_MOVLPS:
    case T.EXEC_MOVLPD: return moveHalf(op, 0);
    case T.EXEC_MOVHPS:
    case T.EXEC_MOVHPD: return moveHalf(op, 8);
    case T.EXEC_MOVHLPS: return moveBetweenHalves(op, 0, 8);
    case T.EXEC_MOVLHPS: return moveBetweenHalves(op, 8, 0);
    case T.EXEC_MOVDDUP:
    case T.EXEC_MOVSLDUP:
    case T.EXEC_MOVSHDUP: return duplicate(op, execute);
    case T.EXEC_MOVMSKPS: return collectSigns(op, 4);
    case T.EXEC_MOVMSKPD: return collectSigns(op, 8);
    case T.EXEC_PMOVMSKB: return collectSigns(op, 1);
    case T.EXEC_MASKMOVQ:
    case T.EXEC_MASKMOVDQU: return storeSelected(op);
    default: return move(op);
  }
} // prettier-ignore

/** Between the files (MOVQ2DQ, MOVDQ2Q) the rules of both hold. */
function mayMove(op: MicroOp, execute: u32): bool {
  const crosses = execute == T.EXEC_MOVQ2DQ || execute == T.EXEC_MOVDQ2Q;
  if (usesXmm(op)) {
    if (!mayExecuteVector(op)) return false;
    if (!crosses) return true;
  }
  if (!F.mayExecuteMmx()) return false;
  enterMmx();
  return true;
}

/** Every MMX instruction but EMMS marks all registers as in use and sets the top of the stack to 0. */
export function enterMmx(): void {
  F.setStackTop(0);
  F.setTagsInUse(0xff);
}

/** Aligned moves ask for the alignment of all that they move, with VEX too. */
function isAlignedWhole(op: MicroOp): bool {
  if ((op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) == 0) return true;
  return isAlignedTo(op, lanesOf(op) << 4);
}

/** Reads the second operand, of any kind, into the right operand; false with something pending. */
function readSource(op: MicroOp): bool {
  const kind = kindOf(op, 1);
  const bytes = widthOf(op, 1);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0 || isXmm(kind)) {
    if (!readRight(op, bytes)) return false;
    // MOVQ between XMM registers moves 64 bits only.
    if (bytes == 8 || widthOf(op, 0) == 8) store<u64>(right(), 0, 8);
    return true;
  }
  memory.fill(right(), 0, 32);
  store<u64>(right(), isMmx(kind) ? load<u64>(F.physicalRegister(op.second)) : loadSized(<usize>op.source, bytes));
  return true;
}

/** Moves the second operand to the first: as many bytes as the narrower has, and zeros behind in a register. */
function move(op: MicroOp): u32 {
  if (!readSource(op)) return ABORT;
  const kind = kindOf(op, 0);
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) return storeRight(op, widthOf(op, 0));
  if (isXmm(kind)) {
    memory.copy(result(), right(), 32);
    writeResult(op, lanesOf(op));
  } else if (isMmx(kind)) F.setMmx(op.first, load<u64>(right()));
  else setRegisterSized(op.first, load<u64>(right()), widthOf(op, 0));
  return NEXT;
}

/** Stores the first bytes of the right operand. */
function storeRight(op: MicroOp, bytes: u32): u32 {
  const at = operandForWrite(op, bytes);
  if (at == 0) return ABORT;
  memory.copy(at, right(), bytes);
  return finishWrite();
}

/** MOVSS, MOVSD: between registers the other bytes stay, or are those of the register in VEX.vvvv. */
function moveScalar(op: MicroOp, bytes: u32): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    v128.store(right(), v128.load(F.xmmRegister(op.second)));
    return storeRight(op, bytes);
  }
  const fromMemory = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  if (!readRight(op, bytes)) return ABORT;
  if (fromMemory) memory.copy(result(), right(), 32);
  else {
    readLeft(op);
    memory.copy(result(), left(), 32);
    memory.copy(result(), right(), bytes);
  }
  writeResult(op, 1);
  return NEXT;
}

/** MOVLPS, MOVHPS and the like: one half of a register and memory. */
function moveHalf(op: MicroOp, half: usize): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    store<u64>(right(), load<u64>(F.xmmRegister(op.second) + half));
    return storeRight(op, 8);
  }
  const at = operandForRead(op, 8);
  if (at == 0) return ABORT;
  readLeft(op);
  v128.store(result(), v128.load(left()));
  store<u64>(result() + half, load<u64>(at));
  writeResult(op, 1);
  return NEXT;
}

/** MOVHLPS, MOVLHPS. */
function moveBetweenHalves(op: MicroOp, to: usize, from: usize): u32 {
  readRight(op, 16);
  readLeft(op);
  v128.store(result(), v128.load(left()));
  store<u64>(result() + to, load<u64>(right() + from));
  writeResult(op, 1);
  return NEXT;
}

/** MOVDDUP, MOVSLDUP, MOVSHDUP. */
function duplicate(op: MicroOp, execute: u32): u32 {
  if (execute != T.EXEC_MOVDDUP && !isAligned(op)) return ABORT;
  if (!readRight(op, widthOf(op, 1))) return ABORT;
  const lanes = lanesOf(op);
  for (let at: u32 = 0; at < lanes << 4; at += 8) {
    const value = load<u64>(right() + (execute == T.EXEC_MOVDDUP ? at & ~15 : at));
    const word = execute == T.EXEC_MOVSLDUP ? value & 0xffffffff : value >> 32;
    store<u64>(result() + at, execute == T.EXEC_MOVDDUP ? value : word * 0x100000001);
  }
  writeResult(op, lanes);
  return NEXT;
}

/** MOVMSKPS, MOVMSKPD, PMOVMSKB: the highest bit of each element of that many bytes. */
function collectSigns(op: MicroOp, elementBytes: u32): u32 {
  let total: u32 = 8;
  if (isXmm(kindOf(op, 1))) {
    readRight(op, 16);
    total = lanesOf(op) << 4;
  } else store<u64>(right(), load<u64>(F.physicalRegister(op.second)));
  let mask: u64 = 0;
  for (let i: u32 = 0; i < total; i += elementBytes) {
    mask |= (<u64>load<u8>(right() + i + elementBytes - 1) >> 7) << (i / elementBytes);
  }
  setRegisterSized(op.first, mask, 4);
  return NEXT;
}

/** MASKMOVQ, MASKMOVDQU: the bytes whose mask has bit 7 set go to DS:rDI; nothing is accessed where none has. */
function storeSelected(op: MicroOp): u32 {
  const wide = isXmm(kindOf(op, 0));
  const from = wide ? F.xmmRegister(op.first) : F.physicalRegister(op.first);
  const mask = wide ? F.xmmRegister(op.second) : F.physicalRegister(op.second);
  const bytes: u32 = wide ? 16 : 8;
  const offset = register(7) & (u64.MAX_VALUE >> (<u64>op.addressShift));
  let status: u32 = NEXT;
  for (let pass = 0; pass < 2; pass++) {
    for (let i: u32 = 0; i < bytes; i++) {
      if (load<i8>(mask + i) >= 0) continue;
      const at = segmentedForWrite(op.segmentName, (offset + i) & (u64.MAX_VALUE >> (<u64>op.addressShift)), 1);
      if (at == 0) return ABORT;
      // The first pass finds the faults, so that nothing is stored where a later byte cannot be.
      if (pass == 0) cpu.afterWrite = 0;
      else {
        store<u8>(at, load<u8>(from + i));
        const ended = finishWrite();
        if (ended != NEXT) status = ended;
      }
    }
  }
  return status;
}

/** EMMS. */
export function emptyMmx(execute: u32): u32 {
  if (!F.mayExecuteMmx()) return ABORT;
  F.setTagsInUse(0);
  return NEXT;
}

/** LDMXCSR, STMXCSR. */
export function loadMxcsr(op: MicroOp): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const at = operandForRead(op, 4);
  if (at == 0) return ABORT;
  const value = load<u32>(at);
  if ((value & ~F.MXCSR_MASK) != 0) return raiseProtection();
  F.setMxcsr(value);
  return NEXT;
}

export function storeMxcsr(op: MicroOp): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const at = operandForWrite(op, 4);
  if (at == 0) return ABORT;
  store<u32>(at, F.mxcsr());
  return finishWrite();
}
