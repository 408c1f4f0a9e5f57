// Integer operations element by element, on MMX and XMM registers (Intel SDM vol. 2), and the bitwise ones of packed
// floating point. An MMX operand is the low half of a 128-bit value: no element looks at another one.

import { MicroOp, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, NEXT } from "./state";
import { stopUnsupported } from "./faults";
import { operandForRead } from "./memory";
import { enterMmx, isAligned, usesXmm } from "./sse-moves";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** True where `combine` does not know the operation. */
let unknown: bool = false;

/** Executes an operation of two registers, or of a register and memory; others end the run as unsupported. */
export function combineIntegers(op: MicroOp, execute: u32): u32 {
  const wide = usesXmm(op);
  unknown = false;
  combine(execute, i64x2.splat(0), i64x2.splat(0));
  if (unknown) return stopUnsupported(execute);
  if (wide ? !F.mayExecuteSse() || !isAligned(op) : !F.mayExecuteMmx(execute)) return ABORT;
  let at = wide ? F.xmmRegister(op.second) : F.physicalRegister(op.second);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0) at = operandForRead(op, wide ? 16 : 8);
  if (at == 0) return ABORT;
  if (wide) {
    const to = F.xmmRegister(op.first);
    v128.store(to, combine(execute, v128.load(to), v128.load(at)));
    return NEXT;
  }
  const left = v128.load64_zero(F.physicalRegister(op.first));
  const result = combine(execute, left, v128.load64_zero(at));
  enterMmx();
  F.setMmx(op.first, <u64>i64x2.extract_lane(result, 0));
  return NEXT;
}

function combine(execute: u32, a: v128, b: v128): v128 {
  switch (execute) {
    case T.EXEC_PAND:
    case T.EXEC_ANDPS:
    case T.EXEC_ANDPD: return v128.and(a, b);
    case T.EXEC_PANDN:
    case T.EXEC_ANDNPS:
    case T.EXEC_ANDNPD: return v128.andnot(b, a);
    case T.EXEC_POR:
    case T.EXEC_ORPS:
    case T.EXEC_ORPD: return v128.or(a, b);
    case T.EXEC_PXOR:
    case T.EXEC_XORPS:
    case T.EXEC_XORPD: return v128.xor(a, b);
    case T.EXEC_PADDB: return i8x16.add(a, b);
    case T.EXEC_PADDW: return i16x8.add(a, b);
    case T.EXEC_PADDD: return i32x4.add(a, b);
    case T.EXEC_PADDQ: return i64x2.add(a, b);
    case T.EXEC_PSUBB: return i8x16.sub(a, b);
    case T.EXEC_PSUBW: return i16x8.sub(a, b);
    case T.EXEC_PSUBD: return i32x4.sub(a, b);
    case T.EXEC_PSUBQ: return i64x2.sub(a, b);
    case T.EXEC_PADDSB: return i8x16.add_sat_s(a, b);
    case T.EXEC_PADDSW: return i16x8.add_sat_s(a, b);
    case T.EXEC_PADDUSB: return i8x16.add_sat_u(a, b);
    case T.EXEC_PADDUSW: return i16x8.add_sat_u(a, b);
    case T.EXEC_PSUBSB: return i8x16.sub_sat_s(a, b);
    case T.EXEC_PSUBSW: return i16x8.sub_sat_s(a, b);
    case T.EXEC_PSUBUSB: return i8x16.sub_sat_u(a, b);
    case T.EXEC_PSUBUSW: return i16x8.sub_sat_u(a, b);
    case T.EXEC_PMINUB: return i8x16.min_u(a, b);
    case T.EXEC_PMAXUB: return i8x16.max_u(a, b);
    case T.EXEC_PMINSW: return i16x8.min_s(a, b);
    case T.EXEC_PMAXSW: return i16x8.max_s(a, b);
    case T.EXEC_PAVGB: return i8x16.avgr_u(a, b);
    case T.EXEC_PAVGW: return i16x8.avgr_u(a, b);
    case T.EXEC_PCMPEQB: return i8x16.eq(a, b);
    case T.EXEC_PCMPEQW: return i16x8.eq(a, b);
    case T.EXEC_PCMPEQD: return i32x4.eq(a, b);
    case T.EXEC_PCMPGTB: return i8x16.gt_s(a, b);
    case T.EXEC_PCMPGTW: return i16x8.gt_s(a, b);
    case T.EXEC_PCMPGTD: return i32x4.gt_s(a, b);
    case T.EXEC_PMULLW: return i16x8.mul(a, b);
    case T.EXEC_PMADDWD: return i32x4.dot_i16x8_s(a, b);
    default:
      unknown = true;
      return a;
  }
} // prettier-ignore
