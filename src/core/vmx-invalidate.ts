// INVEPT and INVVPID. Intel SDM vol. 3, chapter "VMX Instruction Reference".
//
// The TLB keeps the last guests' translations beside the current ones (guest-tags.ts), and every kind of invalidation
// drops them all: more than the manual asks for is allowed.

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import { forgetGuestSpaces } from "./guest-tags";
import { CPU_BASE, MicroOp } from "./layout.generated";
import { loadSized, operandForRead } from "./memory";
import { ABORT, code64, hasFeature } from "./state";
import { flushTlb } from "./tlb";
import { validEptPointer } from "./vmx-check-controls";
import { canonicalForModel } from "./vmx-check-host";
import * as X from "./vmx-facts.generated";
import { vmFail, vmSucceed } from "./vmx-instructions";
import { vmx } from "./vmx-state";

const INVALID_OPERAND: u32 = 28;
const SINGLE_CONTEXT: u64 = 1;
const INDIVIDUAL_ADDRESS: u64 = 0;
const ALL_CONTEXTS: u64 = 2;

/** The two halves of the 128-bit descriptor. */
let descriptorLow: u64 = 0;
let descriptorHigh: u64 = 0;

function readDescriptor(op: MicroOp): bool {
  const at = operandForRead(op, 16);
  if (at == 0) return false;
  descriptorLow = load<u64>(at);
  descriptorHigh = load<u64>(at, 8);
  return true;
}

function typeOperand(op: MicroOp): u64 {
  return code64() ? load<u64>(CPU_BASE + <u32>op.first) : load<u32>(CPU_BASE + <u32>op.first);
}

function drop(): u32 {
  forgetGuestSpaces();
  flushTlb();
  return vmSucceed();
}

/** Bits 25 and 26 of IA32_VMX_EPT_VPID_CAP report types 1 and 2. */
export function invalidateEpt(op: MicroOp): u32 {
  const type = typeOperand(op);
  const supported = (type == 1 || type == 2) && ((vmx.eptVpid >> (24 + type)) & 1) != 0;
  if (!supported) return vmFail(INVALID_OPERAND, X.RULE_INVEPT_TYPE);
  if (!readDescriptor(op)) return ABORT;
  if (type == SINGLE_CONTEXT && !validEptPointer(descriptorLow)) return vmFail(INVALID_OPERAND, X.RULE_INVEPT_EPTP);
  return drop();
}

/** Bits 40 to 43 of IA32_VMX_EPT_VPID_CAP report types 0 to 3. */
export function invalidateVpid(op: MicroOp): u32 {
  const type = typeOperand(op);
  if (type > 3 || ((vmx.eptVpid >> (40 + type)) & 1) == 0) return vmFail(INVALID_OPERAND, X.RULE_INVVPID_TYPE);
  if (!readDescriptor(op)) return ABORT;
  if (descriptorLow >> 16 != 0) return vmFail(INVALID_OPERAND, X.RULE_INVVPID_RESERVED);
  if (type != ALL_CONTEXTS && descriptorLow == 0) return vmFail(INVALID_OPERAND, X.RULE_INVVPID_VPID);
  if (type == INDIVIDUAL_ADDRESS && hasFeature(FEATURE_LONG_MODE) && !canonicalForModel(descriptorHigh)) {
    return vmFail(INVALID_OPERAND, X.RULE_INVVPID_ADDRESS);
  }
  return drop();
}
