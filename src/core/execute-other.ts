// Dispatch of the instructions that the run loop does not handle itself, by the execute number of the decode table.

import {
  cpu, MicroOp, PREFIX_FIRST_MEMORY, SEGMENT_LDTR, SEGMENT_SS, SEGMENT_TR, TYPE_PRIVILEGED_SOFTWARE,
  TYPE_SOFTWARE_EXCEPTION, TYPE_SOFTWARE_INTERRUPT,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, AC, AF, carryFlag, CF, CR4_VME, DF, END, flagsChanged, IF, IOPL, iopl, NEXT, overflowFlag, PF,
  protectedMode, readFlags, registerSized, RF, segment, setRegisterSized, SF, updateAttention, VIF, VIP, virtual8086,
  VM, writeCarry, writeFlags, writeStatusFlags, ZF,
} from "./state"; // prettier-ignore
import {
  OPERATION_ADC, OPERATION_ADD, OPERATION_AND, OPERATION_CMP, OPERATION_OR, OPERATION_SBB, OPERATION_SUB,
  OPERATION_TEST, OPERATION_XOR,
} from "./ops"; // prettier-ignore
import { raise, raiseProtection, raiseUndefined, VECTOR_BP, VECTOR_DB, VECTOR_OF } from "./faults";
import { stringOperation } from "./strings";
import { input, output } from "./io";
import { readMsr, writeMsr } from "./msr";
import { loadSegment } from "./segments";
import {
  callFar, changeableFlags, interruptReturn, jumpFar, returnFar, systemCall, systemEnter, systemExit, systemReturn,
} from "./far-transfer"; // prettier-ignore
import { finishWrite, loadSized, operandForRead, operandForWrite } from "./memory";
import { lastPopped, peek, pop, push, setStackPointer, stackForWrite } from "./stack";
import {
  executeVirtualization, guestIretStarts, INTERCEPT_ICEBP, INTERCEPT_INT, INTERCEPT_INVD, INTERCEPT_IRET,
  INTERCEPT_PAUSE, INTERCEPT_POPF, INTERCEPT_PUSHF, INTERCEPT_RSM, INTERCEPT_WBINVD, interceptInstruction,
} from "./virtualization"; // prettier-ignore
import { RULE_INSTRUCTION_IOPL } from "./rules.generated";
import { decimal } from "./decimal";
import { addWithFlag, bitManipulation } from "./bmi";
import { VARY_UNDEFINED, varyUndefinedFlags } from "./undefined-flags";
import { popFlagsVirtual, virtualInterrupt } from "./virtual-8086";
import { executeVector } from "./fpu-dispatch";
import * as T from "./decode-table.generated";
import * as C from "./control-registers";
import * as D from "./descriptor-tables";
import * as G from "./general";
import * as K from "./stack-instructions";
import * as M from "./multiply";
import * as N from "./near-transfer";
import * as H from "./shift";
import * as R from "./recent-instructions";
import * as S from "./system";

/** Executes a micro-op by its execute number: NEXT, END or ABORT. */
export function executeOther(op: MicroOp, execute: u32): u32 {
  const status = executeNumbered(op, execute);
  if ((cpu.variation & VARY_UNDEFINED) != 0 && status != ABORT) varyUndefinedFlags(op, execute);
  return status;
}

function executeNumbered(op: MicroOp, execute: u32): u32 {
  switch (execute) {
    // Data transfer
    case T.EXEC_MOV: return G.move(op);
    case T.EXEC_MOVZX: return G.moveExtended(op, false);
    case T.EXEC_MOVSX: return G.moveExtended(op, true);
    case T.EXEC_MOVSXD: return G.moveExtended(op, true);
    case T.EXEC_CMOVCC: return G.moveConditional(op);
    case T.EXEC_SETCC: return G.setConditional(op);
    case T.EXEC_LEA: return G.loadEffectiveAddress(op);
    case T.EXEC_XCHG: return G.exchange(op);
    case T.EXEC_BSWAP: return G.byteSwap(op);
    case T.EXEC_XLAT: return N.translateByte(op);
    case T.EXEC_CBW: return G.widenAccumulator(op);
    case T.EXEC_CWD: return G.widenToPair(op);
    case T.EXEC_PUSH: return K.pushOperand(op);
    case T.EXEC_POP: return K.popOperand(op);
    case T.EXEC_PUSHA: return K.pushAll(op);
    case T.EXEC_POPA: return K.popAll(op);
    case T.EXEC_ENTER: return K.enter(op);
    case T.EXEC_LEAVE: return K.leave(op);
    // Arithmetic
    case T.EXEC_ADD: return G.binaryOperation(op, OPERATION_ADD);
    case T.EXEC_OR: return G.binaryOperation(op, OPERATION_OR);
    case T.EXEC_ADC: return G.binaryOperation(op, OPERATION_ADC);
    case T.EXEC_SBB: return G.binaryOperation(op, OPERATION_SBB);
    case T.EXEC_AND: return G.binaryOperation(op, OPERATION_AND);
    case T.EXEC_SUB: return G.binaryOperation(op, OPERATION_SUB);
    case T.EXEC_XOR: return G.binaryOperation(op, OPERATION_XOR);
    case T.EXEC_CMP: return G.binaryOperation(op, OPERATION_CMP);
    case T.EXEC_TEST: return G.binaryOperation(op, OPERATION_TEST);
    case T.EXEC_INC: return G.unaryOperation(op, G.UNARY_INC);
    case T.EXEC_DEC: return G.unaryOperation(op, G.UNARY_DEC);
    case T.EXEC_NOT: return G.unaryOperation(op, G.UNARY_NOT);
    case T.EXEC_NEG: return G.unaryOperation(op, G.UNARY_NEG);
    case T.EXEC_MUL: return M.multiply(op, false);
    case T.EXEC_IMUL: return M.multiply(op, true);
    case T.EXEC_IMUL2: return M.multiplyTwo(op, false);
    case T.EXEC_IMUL3: return M.multiplyTwo(op, true);
    case T.EXEC_DIV: return M.divide(op, false);
    case T.EXEC_IDIV: return M.divide(op, true);
    case T.EXEC_XADD: return G.exchangeAdd(op);
    case T.EXEC_CMPXCHG: return G.compareExchange(op);
    case T.EXEC_CMPXCHG8B: return G.compareExchangePair(op, 4);
    case T.EXEC_CMPXCHG16B: return G.compareExchangePair(op, 8);
    case T.EXEC_AAA:
    case T.EXEC_AAS:
    case T.EXEC_DAA:
    case T.EXEC_DAS:
    case T.EXEC_AAM:
    case T.EXEC_AAD: return decimal(op, execute);
    case T.EXEC_ROL: return H.shift(op, H.SHIFT_ROL);
    case T.EXEC_ROR: return H.shift(op, H.SHIFT_ROR);
    case T.EXEC_RCL: return H.shift(op, H.SHIFT_RCL);
    case T.EXEC_RCR: return H.shift(op, H.SHIFT_RCR);
    case T.EXEC_SHL: return H.shift(op, H.SHIFT_SHL);
    case T.EXEC_SHR: return H.shift(op, H.SHIFT_SHR);
    case T.EXEC_SAR: return H.shift(op, H.SHIFT_SAR);
    case T.EXEC_SHLD: return H.shiftDouble(op, true);
    case T.EXEC_SHRD: return H.shiftDouble(op, false);
    case T.EXEC_BT: return H.bitOperation(op, H.BIT_TEST);
    case T.EXEC_BTS: return H.bitOperation(op, H.BIT_SET);
    case T.EXEC_BTR: return H.bitOperation(op, H.BIT_RESET);
    case T.EXEC_BTC: return H.bitOperation(op, H.BIT_COMPLEMENT);
    case T.EXEC_BSF: return H.bitScan(op, false);
    case T.EXEC_BSR: return H.bitScan(op, true);
    case T.EXEC_POPCNT: return H.populationCount(op);
    case T.EXEC_LZCNT: return H.countZeros(op, true);
    case T.EXEC_TZCNT: return H.countZeros(op, false);
    // Control transfer
    case T.EXEC_JCC: return N.jumpRelative(op, G.condition(op.argument));
    case T.EXEC_JMP: return N.jumpRelative(op, true);
    case T.EXEC_JMP_INDIRECT: return N.jumpIndirect(op);
    case T.EXEC_CALL: return N.callNear(op, cpu.rip + op.immediate);
    case T.EXEC_CALL_INDIRECT: return N.callIndirect(op);
    case T.EXEC_RET: return N.returnNear(op);
    case T.EXEC_LOOPCC: return N.loopCounted(op);
    case T.EXEC_JRCXZ: return N.jumpIfCounterZero(op);
    case T.EXEC_JMP_FAR: return transferFar(op, false);
    case T.EXEC_CALL_FAR: return transferFar(op, true);
    case T.EXEC_RET_FAR: return returnFar(op.operandBytes, <u32>op.immediate & 0xffff);
    case T.EXEC_IRET: return interruptReturnHooked(op);
    case T.EXEC_INT: return softwareInterrupt(op, <u32>op.immediate & 0xff);
    case T.EXEC_INT3: return trap(VECTOR_BP, TYPE_SOFTWARE_EXCEPTION);
    case T.EXEC_INTO: return overflowFlag() != 0 ? trap(VECTOR_OF, TYPE_SOFTWARE_EXCEPTION) : NEXT;
    case T.EXEC_INT1: return interruptOne(op);
    case T.EXEC_BOUND: return N.checkBounds(op);
    case T.EXEC_UD: return raiseUndefined();
    case T.EXEC_SYSCALL: return systemCall();
    case T.EXEC_SYSRET: return systemReturn(op.operandBytes == 8);
    case T.EXEC_SYSENTER: return systemEnter();
    case T.EXEC_SYSEXIT: return systemExit(op.operandBytes == 8);
    // Strings and ports
    case T.EXEC_MOVS:
    case T.EXEC_CMPS:
    case T.EXEC_STOS:
    case T.EXEC_LODS:
    case T.EXEC_SCAS:
    case T.EXEC_INS:
    case T.EXEC_OUTS: return stringOperation(op, execute);
    case T.EXEC_IN: return input(op);
    case T.EXEC_OUT: return output(op);
    default: return executeSystem(op, execute);
  }
} // prettier-ignore

/** Flags, segments, system instructions. */
function executeSystem(op: MicroOp, execute: u32): u32 {
  switch (execute) {
    case T.EXEC_CLC: return carry(0);
    case T.EXEC_STC: return carry(1);
    case T.EXEC_CMC: return carry(carryFlag() ^ 1);
    case T.EXEC_CLD: return direction(0);
    case T.EXEC_STD: return direction(DF);
    case T.EXEC_CLI: return changeInterruptFlag(false);
    case T.EXEC_STI: return changeInterruptFlag(true);
    case T.EXEC_CLAC: return changeAlignmentFlag(0);
    case T.EXEC_STAC: return changeAlignmentFlag(AC);
    case T.EXEC_LAHF: return loadFlagsIntoAh();
    case T.EXEC_SAHF: return storeAhIntoFlags();
    case T.EXEC_SALC: return setAlFromCarry();
    case T.EXEC_PUSHF: return pushFlags(op);
    case T.EXEC_POPF: return popFlags(op);
    case T.EXEC_NOP:
    case T.EXEC_PREFETCH:
    case T.EXEC_LFENCE:
    case T.EXEC_MFENCE:
    case T.EXEC_SFENCE:
    case T.EXEC_SERIALIZE: return NEXT;
    case T.EXEC_CLFLUSH: return operandForRead(op, 1) == 0 ? ABORT : NEXT;
    case T.EXEC_PAUSE: return cpu.guestMode != 0 && interceptInstruction(INTERCEPT_PAUSE, 0, op) ? ABORT : NEXT;
    case T.EXEC_MOVNTI: return G.move(op);
    case T.EXEC_MOV_FROM_SREG: return moveFromSegment(op);
    case T.EXEC_MOV_TO_SREG: return moveToSegment(op);
    case T.EXEC_PUSH_SREG: return pushSegment(op);
    case T.EXEC_POP_SREG: return popSegment(op);
    case T.EXEC_LOAD_FAR_POINTER: return loadFarPointer(op);
    case T.EXEC_MOV_FROM_CR: return C.moveFromControl(op);
    case T.EXEC_MOV_TO_CR: return C.moveToControl(op);
    case T.EXEC_MOV_FROM_DR: return C.moveFromDebug(op);
    case T.EXEC_MOV_TO_DR: return C.moveToDebug(op);
    case T.EXEC_CLTS: return C.clearTaskSwitched(op);
    case T.EXEC_LMSW: return C.loadMachineStatus(op);
    case T.EXEC_SMSW: return C.storeMachineStatus(op);
    case T.EXEC_SGDT: return D.storeTable(op, true);
    case T.EXEC_SIDT: return D.storeTable(op, false);
    case T.EXEC_LGDT: return D.loadTable(op, true);
    case T.EXEC_LIDT: return D.loadTable(op, false);
    case T.EXEC_SLDT: return D.storeSelector(op, SEGMENT_LDTR);
    case T.EXEC_STR: return D.storeSelector(op, SEGMENT_TR);
    case T.EXEC_LLDT: return D.loadSystemSegment(op, SEGMENT_LDTR);
    case T.EXEC_LTR: return D.loadSystemSegment(op, SEGMENT_TR);
    case T.EXEC_LAR: return D.inspectSelector(op, D.INSPECT_LAR);
    case T.EXEC_LSL: return D.inspectSelector(op, D.INSPECT_LSL);
    case T.EXEC_VERR: return D.inspectSelector(op, D.INSPECT_VERR);
    case T.EXEC_VERW: return D.inspectSelector(op, D.INSPECT_VERW);
    case T.EXEC_ARPL: return D.adjustPrivilege(op);
    case T.EXEC_CPUID: return S.identify(op);
    case T.EXEC_HLT: return S.halt(op);
    case T.EXEC_RDMSR: return readMsr();
    case T.EXEC_WRMSR: return writeMsr();
    case T.EXEC_RDTSC: return S.readTimeStamp(op, false);
    case T.EXEC_RDTSCP: return S.readTimeStamp(op, true);
    case T.EXEC_RDPMC: return S.readCounter(op);
    case T.EXEC_INVLPG: return S.invalidatePage(op);
    case T.EXEC_INVPCID: return S.invalidatePcid(op);
    case T.EXEC_INVD: return S.invalidateCaches(op, INTERCEPT_INVD);
    case T.EXEC_WBINVD: return S.invalidateCaches(op, INTERCEPT_WBINVD);
    case T.EXEC_MONITOR:
    case T.EXEC_MONITORX: return R.monitor(op, execute);
    case T.EXEC_MWAIT:
    case T.EXEC_MWAITX: return R.monitorWait(op, execute);
    case T.EXEC_SWAPGS: return S.swapGs();
    case T.EXEC_RDPKRU: return R.readKeys();
    case T.EXEC_WRPKRU: return R.writeKeys();
    case T.EXEC_RDPID: return R.readProcessorId(op);
    case T.EXEC_READ_SEGMENT_BASE: return R.readSegmentBase(op);
    case T.EXEC_WRITE_SEGMENT_BASE: return R.writeSegmentBase(op);
    case T.EXEC_RDRAND:
    case T.EXEC_RDSEED: return R.randomNumber(op, execute);
    case T.EXEC_CLZERO: return R.clearLine(op);
    // RSM outside system-management mode, where this processor never is.
    case T.EXEC_RSM:
      return cpu.guestMode != 0 && interceptInstruction(INTERCEPT_RSM, 0, op) ? ABORT : raiseUndefined();
    case T.EXEC_VMXON:
    case T.EXEC_VMXOFF:
    case T.EXEC_VMCLEAR:
    case T.EXEC_VMPTRLD:
    case T.EXEC_VMPTRST:
    case T.EXEC_VMREAD:
    case T.EXEC_VMWRITE:
    case T.EXEC_VMLAUNCH:
    case T.EXEC_VMRESUME:
    case T.EXEC_VMCALL:
    case T.EXEC_VMFUNC:
    case T.EXEC_INVEPT:
    case T.EXEC_INVVPID:
    case T.EXEC_VMRUN:
    case T.EXEC_VMMCALL:
    case T.EXEC_VMLOAD:
    case T.EXEC_VMSAVE:
    case T.EXEC_STGI:
    case T.EXEC_CLGI:
    case T.EXEC_SKINIT:
    case T.EXEC_INVLPGA: return executeVirtualization(op, execute);
    case T.EXEC_ANDN:
    case T.EXEC_BEXTR:
    case T.EXEC_BLSR:
    case T.EXEC_BLSMSK:
    case T.EXEC_BLSI:
    case T.EXEC_BZHI:
    case T.EXEC_MULX:
    case T.EXEC_PDEP:
    case T.EXEC_PEXT:
    case T.EXEC_SARX:
    case T.EXEC_SHLX:
    case T.EXEC_SHRX:
    case T.EXEC_RORX: return bitManipulation(op, execute);
    case T.EXEC_ADCX:
    case T.EXEC_ADOX: return addWithFlag(op, execute);
    case T.EXEC_MOVBE: return G.moveSwapped(op);
    case T.EXEC_XGETBV: return S.getExtendedControl();
    case T.EXEC_XSETBV: return S.setExtendedControl(op);
    // Without CET, ENDBR and RDSSP are NOPs.
    case T.EXEC_RDSSP:
    case T.EXEC_ENDBR: return NEXT;
    default: return executeVector(op, execute);
  }
} // prettier-ignore

// Flags ---------------------------------------------------------------------------------------------------------------

function carry(value: u64): u32 {
  writeCarry(value);
  return NEXT;
}

function direction(value: u64): u32 {
  cpu.systemFlags = (cpu.systemFlags & ~DF) | value;
  return NEXT;
}

/** CLI, STI: by IOPL; virtual-8086 mode and PVI keep a virtual flag instead where CR4 says so. */
function changeInterruptFlag(set: bool): u32 {
  const virtualFlag =
    protectedMode() && iopl() < 3 && cpu.cpl == 3 && (cpu.cr4 & (virtual8086() ? CR4_VME : <u64>2)) != 0;
  if (protectedMode() && cpu.cpl > iopl()) {
    if (!virtualFlag || (set && (cpu.systemFlags & VIP) != 0)) return raiseProtection(RULE_INSTRUCTION_IOPL);
    cpu.systemFlags = set ? cpu.systemFlags | VIF : cpu.systemFlags & ~VIF;
    return NEXT;
  }
  if (!set) {
    cpu.systemFlags &= ~IF;
    return NEXT;
  }
  if ((cpu.systemFlags & IF) == 0) cpu.shadow |= 1;
  cpu.systemFlags |= IF;
  updateAttention();
  return END;
}

function changeAlignmentFlag(value: u64): u32 {
  if (cpu.cpl != 0) return raiseUndefined();
  cpu.systemFlags = (cpu.systemFlags & ~AC) | value;
  flagsChanged();
  return END;
}

function loadFlagsIntoAh(): u32 {
  setRegisterSized(1, readFlags() & 0xff, 1);
  return NEXT;
}

function storeAhIntoFlags(): u32 {
  const value = registerSized(1, 1) & (SF | ZF | AF | PF | CF);
  writeStatusFlags(value | (overflowFlag() << 11));
  return NEXT;
}

function setAlFromCarry(): u32 {
  setRegisterSized(0, carryFlag() != 0 ? 0xff : 0, 1);
  return NEXT;
}

/** PUSHF: in virtual-8086 mode by IOPL, or with VME the virtual flag in place of IF. */
function pushFlags(op: MicroOp): u32 {
  if (cpu.guestMode != 0 && interceptInstruction(INTERCEPT_PUSHF, 0, op)) return ABORT;
  let image = readFlags() & ~(VM | RF);
  if (virtual8086() && iopl() < 3) {
    if ((cpu.cr4 & CR4_VME) == 0 || op.operandBytes != 2) return raiseProtection(RULE_INSTRUCTION_IOPL);
    image = (image & ~IF) | IOPL | ((image & VIF) != 0 ? IF : 0);
  }
  return push(image, op.operandBytes) ? NEXT : ABORT;
}

/** POPF: IF and IOPL change silently only where the privilege suffices. */
function popFlags(op: MicroOp): u32 {
  if (cpu.guestMode != 0 && interceptInstruction(INTERCEPT_POPF, 0, op)) return ABORT;
  const bytes = <u32>op.operandBytes;
  if (virtual8086() && iopl() < 3) return popFlagsVirtual(bytes);
  if (!pop(bytes)) return ABORT;
  const mask = changeableFlags(bytes) & ~RF;
  const old = readFlags();
  writeFlags(((old & ~mask) | (lastPopped() & mask)) & ~RF);
  return END;
}

// Segments ------------------------------------------------------------------------------------------------------------

function moveFromSegment(op: MicroOp): u32 {
  const selector = segment(op.second).selector;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterSized(op.first, selector, op.operandBytes);
    return NEXT;
  }
  const at = operandForWrite(op, 2);
  if (at == 0) return ABORT;
  store<u16>(at, <u16>selector);
  return finishWrite();
}

function moveToSegment(op: MicroOp): u32 {
  const number = <u32>op.first;
  const at = (op.prefixes & 32) != 0 ? operandForRead(op, 2) : <usize>op.source;
  if (at == 0) return ABORT;
  return afterSegmentLoad(number, loadSegment(number, load<u16>(at)));
}

/**
 * PUSH of a segment register: with an operand size of 32 bits Intel's processors write a word into the slot and leave
 * its upper half (SDM vol. 2, "PUSH"), AMD's write zeros there.
 */
function pushSegment(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const selector = segment(op.first).selector;
  if (bytes != 4 || cpu.vendor != 0) return push(selector, bytes) ? NEXT : ABORT;
  const top = cpu.rsp - bytes;
  const at = stackForWrite(top, 2);
  if (at == 0) return ABORT;
  store<u16>(at, <u16>selector);
  setStackPointer(top);
  return finishWrite();
}

function popSegment(op: MicroOp): u32 {
  const old = cpu.rsp;
  // Only a word is read, whatever the slot's size.
  if (!peek(0, 2)) return ABORT;
  const status = loadSegment(op.first, <u32>lastPopped());
  if (status == ABORT) {
    cpu.rsp = old;
    return ABORT;
  }
  setStackPointer(old + op.operandBytes);
  return afterSegmentLoad(op.first, status);
}

/** Loading SS holds interrupts and debug traps for one instruction; what follows may decode differently. */
function afterSegmentLoad(number: u32, status: u32): u32 {
  if (status == ABORT) return ABORT;
  if (number == SEGMENT_SS) {
    cpu.shadow |= 2;
    updateAttention();
  }
  return END;
}

function loadFarPointer(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const at = operandForRead(op, bytes + 2);
  if (at == 0) return ABORT;
  const offset = loadSized(at, bytes);
  const status = loadSegment(op.argument, load<u16>(at + bytes));
  if (status == ABORT) return ABORT;
  setRegisterSized(op.first, offset, bytes);
  return END;
}

/** JMP and CALL through a far pointer, in the instruction or in memory. */
function transferFar(op: MicroOp, isCall: bool): u32 {
  const bytes = <u32>op.operandBytes;
  let selector = (<u32>(op.immediate >> 32)) & 0xffff;
  let offset: u64 = op.immediate & 0xffffffff;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const at = operandForRead(op, bytes + 2);
    if (at == 0) return ABORT;
    offset = loadSized(at, bytes);
    selector = load<u16>(at + bytes);
  }
  return isCall ? callFar(selector, offset, bytes) : jumpFar(selector, offset, bytes);
}

// Interrupts by instruction -------------------------------------------------------------------------------------------

/** A trap-like event of the instruction: the saved RIP is the next one's. */
function trap(vector: u32, type: u32): u32 {
  cpu.instructionRip = cpu.rip - cpu.instructionLength;
  raise(vector);
  cpu.eventType = type;
  return ABORT;
}

function softwareInterrupt(op: MicroOp, vector: u32): u32 {
  if (cpu.guestMode != 0 && interceptInstruction(INTERCEPT_INT, vector, op)) return ABORT;
  if (virtual8086()) {
    const status = virtualInterrupt(vector);
    if (status != NEXT) return status;
  }
  return trap(vector, TYPE_SOFTWARE_INTERRUPT);
}

/** INT1 (ICEBP): a #DB that is a trap and sets no bit of DR6. */
function interruptOne(op: MicroOp): u32 {
  if (cpu.guestMode != 0 && interceptInstruction(INTERCEPT_ICEBP, 0, op)) return ABORT;
  return trap(VECTOR_DB, TYPE_PRIVILEGED_SOFTWARE);
}

function interruptReturnHooked(op: MicroOp): u32 {
  if (cpu.guestMode != 0) {
    if (interceptInstruction(INTERCEPT_IRET, 0, op)) return ABORT;
    guestIretStarts();
  }
  return interruptReturn(op.operandBytes);
}
