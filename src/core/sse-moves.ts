// Moves of MMX and XMM registers, MXCSR, and the state instructions of MMX (Intel SDM vol. 2). Nothing here looks at
// what the bytes mean.

import { cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, NEXT, register, setRegisterSized } from "./state";
import { raiseProtection } from "./faults";
import { finishWrite, loadSized, operandForRead, operandForWrite, segmentedForWrite, storeSized } from "./memory";
import { widthOf } from "./operands";
import { isAligned, isMmx, isXmm, kindOf, usesXmm } from "./sse-operands";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** The two halves of a 128-bit value, as the last `readSource` left them; a narrower one is extended by zeros. */
let low: u64 = 0;
let high: u64 = 0;

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
    case T.EXEC_MOVNTDQA: return isAligned(op) ? move(op) : ABORT;
    case T.EXEC_MOVSS:
    case T.EXEC_MOVSD_XMM: return moveScalar(op);
    case T.EXEC_MOVLPS:
    case T.EXEC_MOVLPD: return moveHalf(op, 0);
    case T.EXEC_MOVHPS:
    case T.EXEC_MOVHPD: return moveHalf(op, 8);
    case T.EXEC_MOVHLPS: store<u64>(F.xmmRegister(op.first), load<u64>(F.xmmRegister(op.second), 8)); return NEXT;
    case T.EXEC_MOVLHPS: store<u64>(F.xmmRegister(op.first), load<u64>(F.xmmRegister(op.second)), 8); return NEXT;
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
    if (!F.mayExecuteSse()) return false;
    if (!crosses) return true;
  }
  if (!F.mayExecuteMmx(execute)) return false;
  enterMmx();
  return true;
}

/** Every MMX instruction but EMMS marks all registers as in use and sets the top of the stack to 0. */
export function enterMmx(): void {
  F.setStackTop(0);
  F.setTagsInUse(0xff);
}

/** Reads the second operand; false with something pending. */
function readSource(op: MicroOp): bool {
  const kind = kindOf(op, 1);
  high = 0;
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0) {
    const bytes = widthOf(op, 1);
    const at = operandForRead(op, bytes);
    if (at == 0) return false;
    low = bytes == 16 ? load<u64>(at) : loadSized(at, bytes);
    if (bytes == 16) high = load<u64>(at, 8);
  } else if (isXmm(kind)) {
    low = load<u64>(F.xmmRegister(op.second));
    high = load<u64>(F.xmmRegister(op.second), 8);
  } else if (isMmx(kind)) low = load<u64>(F.physicalRegister(op.second));
  else low = loadSized(<usize>op.source, widthOf(op, 1));
  return true;
}

/** Moves the second operand to the first: as many bytes as the narrower has, and zeros behind in a register. */
function move(op: MicroOp): u32 {
  if (!readSource(op)) return ABORT;
  const kind = kindOf(op, 0);
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const bytes = widthOf(op, 0);
    const at = operandForWrite(op, bytes);
    if (at == 0) return ABORT;
    if (bytes == 16) {
      store<u64>(at, low);
      store<u64>(at, high, 8);
    } else storeSized(at, low, bytes);
    return finishWrite();
  }
  if (isXmm(kind)) {
    // MOVQ between XMM registers moves 64 bits only, and so does MOVQ2DQ.
    const narrow = widthOf(op, 0) == 8 || widthOf(op, 1) == 8;
    store<u64>(F.xmmRegister(op.first), low);
    store<u64>(F.xmmRegister(op.first), narrow ? 0 : high, 8);
  } else if (isMmx(kind)) F.setMmx(op.first, low);
  else setRegisterSized(op.first, low, widthOf(op, 0));
  return NEXT;
}

/** MOVSS, MOVSD: between registers the other bytes stay. */
function moveScalar(op: MicroOp): u32 {
  if ((op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) == 0) {
    const bytes = <u32>(widthOf(op, 0) < widthOf(op, 1) ? widthOf(op, 0) : widthOf(op, 1));
    memory.copy(F.xmmRegister(op.first), F.xmmRegister(op.second), bytes);
    return NEXT;
  }
  return move(op);
}

/** MOVLPS, MOVHPS and the like: one half of a register and memory. */
function moveHalf(op: MicroOp, half: usize): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const at = operandForWrite(op, 8);
    if (at == 0) return ABORT;
    store<u64>(at, load<u64>(F.xmmRegister(op.second) + half));
    return finishWrite();
  }
  const at = operandForRead(op, 8);
  if (at == 0) return ABORT;
  store<u64>(F.xmmRegister(op.first) + half, load<u64>(at));
  return NEXT;
}

/** MOVDDUP, MOVSLDUP, MOVSHDUP. */
function duplicate(op: MicroOp, execute: u32): u32 {
  if (execute != T.EXEC_MOVDDUP && !isAligned(op)) return ABORT;
  if (!readSource(op)) return ABORT;
  const to = F.xmmRegister(op.first);
  if (execute == T.EXEC_MOVDDUP) high = low;
  else if (execute == T.EXEC_MOVSLDUP) {
    low = (low & 0xffffffff) * 0x100000001;
    high = (high & 0xffffffff) * 0x100000001;
  } else {
    low = (low >> 32) * 0x100000001;
    high = (high >> 32) * 0x100000001;
  }
  store<u64>(to, low);
  store<u64>(to, high, 8);
  return NEXT;
}

/** MOVMSKPS, MOVMSKPD, PMOVMSKB: the highest bit of each element of that many bytes. */
function collectSigns(op: MicroOp, elementBytes: u32): u32 {
  const wide = isXmm(kindOf(op, 1));
  const at = wide ? F.xmmRegister(op.second) : F.physicalRegister(op.second);
  const total: u32 = wide ? 16 : 8;
  let mask: u64 = 0;
  for (let i: u32 = 0; i < total; i += elementBytes) {
    mask |= (<u64>load<u8>(at + i + elementBytes - 1) >> 7) << (i / elementBytes);
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
  if (!F.mayExecuteMmx(execute)) return ABORT;
  F.setTagsInUse(0);
  return NEXT;
}

/** LDMXCSR, STMXCSR. */
export function loadMxcsr(op: MicroOp): u32 {
  if (!F.mayExecuteSse()) return ABORT;
  const at = operandForRead(op, 4);
  if (at == 0) return ABORT;
  const value = load<u32>(at);
  if ((value & ~F.MXCSR_MASK) != 0) return raiseProtection();
  F.setMxcsr(value);
  return NEXT;
}

export function storeMxcsr(op: MicroOp): u32 {
  if (!F.mayExecuteSse()) return ABORT;
  const at = operandForWrite(op, 4);
  if (at == 0) return ABORT;
  store<u32>(at, F.mxcsr());
  return finishWrite();
}
