// Sets of instructions that decoding asks for: what another table would know, and what a vendor decodes in its own way.

import {
  EXEC_CALL, EXEC_CALL_INDIRECT, EXEC_JCC, EXEC_JMP, EXEC_JMP_INDIRECT, EXEC_JRCXZ, EXEC_LOOPCC, EXEC_RET,
  FEATURE_3DNOW, FEATURE_AVX512F, FEATURE_XOP, MAP_0F, MAP_VEX_0F, MAP_XOP_8,
} from "./decode-table.generated"; // prettier-ignore
import { hasFeature } from "./state";

/** An opcode of a set that the model's processor has and this table has not: no #UD, but the end of the run. */
export function isOfAnotherSet(isVex: bool, map: u32, opcode: u32): bool {
  if (!isVex) return map == MAP_0F && opcode == 0x0f && hasFeature(FEATURE_3DNOW);
  if (map >= MAP_XOP_8) return hasFeature(FEATURE_XOP);
  if (hasFeature(FEATURE_XOP)) return map == MAP_VEX_0F + 2 && isOfFma4(opcode);
  return hasFeature(FEATURE_AVX512F) && isBesideEvex(map - MAP_VEX_0F, opcode);
}

/** FMA4, which the models with XOP have. */
function isOfFma4(opcode: u32): bool {
  return (opcode & 0xfc) == 0x5c || (opcode & 0xe8) == 0x68;
}

/** What came with AVX-512 and is encoded with VEX: mask registers; on later models AES and others on 256 bits. */
function isBesideEvex(map: u32, opcode: u32): bool {
  if (map == 0) return (opcode >= 0x41 && opcode <= 0x4b) || (opcode >= 0x90 && opcode <= 0x99);
  if (map == 1) return opcode == 0xcf || (opcode & 0xfc) == 0xdc;
  return (opcode & 0xfc) == 0x30 || opcode == 0x44 || (opcode & 0xfe) == 0xce;
}

/** On AMD 66H gives near branches an operand size of 16 bits in 64-bit mode (APM vol. 3, "Near Branches"). */
export function isNearBranch(execute: u32): bool {
  return (
    execute == EXEC_JCC ||
    execute == EXEC_JMP ||
    execute == EXEC_CALL ||
    execute == EXEC_RET ||
    execute == EXEC_JMP_INDIRECT ||
    execute == EXEC_CALL_INDIRECT ||
    execute == EXEC_LOOPCC ||
    execute == EXEC_JRCXZ
  );
}
