// Dispatch of x87, MMX, SSE and AVX instructions. What none of them knows ends the run as unsupported.

import { MicroOp } from "./layout.generated";
import { executeX87 } from "./fpu-instructions";
import { fxRestore, fxSave, xRestore, xSave } from "./fpu-areas";
import { executeAvx } from "./avx";
import { gather } from "./gather";
import { combineIntegers } from "./sse-integers";
import { emptyMmx, loadMxcsr, moveVector, storeMxcsr } from "./sse-moves";
import { compareIntoFlags, convertFloat, convertToHalf, dotProduct, floatOperation, fusedOperation } from "./sse-float";
import { accumulateCrc, compareStrings, encrypt, multiplyCarryless } from "./sse-special";
import { bitField, hash } from "./sha";
import * as S from "./sse-shuffles";
import * as T from "./decode-table.generated";

/** Executes an instruction on extended state, by its execute number. */
export function executeVector(op: MicroOp, execute: u32): u32 {
  // The generator numbers instructions in the order of the table: each family is one run of numbers.
  if (execute >= T.EXEC_X87_ARITHMETIC && execute <= T.EXEC_FCOS) return executeX87(op, execute);
  if (execute >= T.EXEC_MOVUPS && execute <= T.EXEC_MOVQ) return moveVector(op, execute);
  switch (execute) {
    case T.EXEC_EMMS: return emptyMmx(execute);
    case T.EXEC_LDMXCSR: return loadMxcsr(op);
    case T.EXEC_STMXCSR: return storeMxcsr(op);
    case T.EXEC_FXSAVE: return fxSave(op);
    case T.EXEC_FXRSTOR: return fxRestore(op);
    case T.EXEC_XSAVE:
    case T.EXEC_XSAVEOPT:
    case T.EXEC_XSAVEC:
    case T.EXEC_XSAVES: return xSave(op, execute);
    case T.EXEC_XRSTOR:
    case T.EXEC_XRSTORS: return xRestore(op, execute);
    case T.EXEC_FLOAT_ADD:
    case T.EXEC_FLOAT_SUB:
    case T.EXEC_FLOAT_MUL:
    case T.EXEC_FLOAT_DIV:
    case T.EXEC_FLOAT_MIN:
    case T.EXEC_FLOAT_MAX:
    case T.EXEC_FLOAT_SQRT:
    case T.EXEC_FLOAT_RCP:
    case T.EXEC_FLOAT_RSQRT:
    case T.EXEC_FLOAT_CMP:
    case T.EXEC_FLOAT_ADDSUB:
    case T.EXEC_FLOAT_HADD:
    case T.EXEC_FLOAT_HSUB: return floatOperation(op, execute);
    case T.EXEC_FLOAT_COMIS:
    case T.EXEC_FLOAT_UCOMIS: return compareIntoFlags(op, execute);
    case T.EXEC_FLOAT_CONVERT: return convertFloat(op);
    case T.EXEC_FLOAT_ROUND: return floatOperation(op, execute);
    case T.EXEC_FLOAT_FUSED: return fusedOperation(op);
    case T.EXEC_CONVERT_TO_HALF: return convertToHalf(op);
    case T.EXEC_DOT_PRODUCT: return dotProduct(op);
    // Loads past the caches.
    case T.EXEC_MOVNTDQA: return moveVector(op, execute);
    default: return executeShuffle(op, execute);
  }
} // prettier-ignore

function executeShuffle(op: MicroOp, execute: u32): u32 {
  switch (execute) {
    case T.EXEC_PSRLW:
    case T.EXEC_PSRLD:
    case T.EXEC_PSRLQ:
    case T.EXEC_PSRAW:
    case T.EXEC_PSRAD:
    case T.EXEC_PSLLW:
    case T.EXEC_PSLLD:
    case T.EXEC_PSLLQ:
    case T.EXEC_PSRLDQ:
    case T.EXEC_PSLLDQ: return S.shiftElements(op, execute);
    case T.EXEC_PSHUFW:
    case T.EXEC_PSHUFD:
    case T.EXEC_PSHUFHW:
    case T.EXEC_PSHUFLW:
    case T.EXEC_SHUFPS:
    case T.EXEC_SHUFPD:
    case T.EXEC_PALIGNR:
    case T.EXEC_MPSADBW:
    case T.EXEC_BLEND: return S.shuffleByImmediate(op, execute);
    case T.EXEC_BLEND_BY_MASK: return S.blendByMask(op, execute);
    case T.EXEC_WIDEN: return S.widenElements(op);
    case T.EXEC_PTEST: return S.testBits(op);
    case T.EXEC_INSERT_ELEMENT: return S.insertElement(op, execute);
    case T.EXEC_EXTRACT_ELEMENT: return S.extractElement(op, execute);
    case T.EXEC_INSERTPS: return S.insertSingle(op);
    case T.EXEC_ZERO_REGISTERS:
    case T.EXEC_MASKED_MOVE:
    case T.EXEC_EXTRACT_LANE:
    case T.EXEC_INSERT_LANE:
    case T.EXEC_BROADCAST:
    case T.EXEC_PERMUTE_LANES:
    case T.EXEC_PERMUTE_WITHIN:
    case T.EXEC_PERMUTE_ACROSS:
    case T.EXEC_SHIFT_EACH: return executeAvx(op, execute);
    case T.EXEC_GATHER: return gather(op);
    case T.EXEC_SHA: return hash(op);
    case T.EXEC_EXTRACT_BITS:
    case T.EXEC_INSERT_BITS: return bitField(op, execute);
    case T.EXEC_AES: return encrypt(op);
    case T.EXEC_PCLMULQDQ: return multiplyCarryless(op);
    case T.EXEC_CRC32: return accumulateCrc(op);
    case T.EXEC_COMPARE_STRINGS: return compareStrings(op);
    default: return combineIntegers(op, execute);
  }
} // prettier-ignore
