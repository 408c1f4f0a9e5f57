// The instructions of VMX in root operation and outside VMX operation, with their faults in the manual's order.
// Intel SDM vol. 3, chapter "VMX Instruction Reference". In non-root operation they exit (vmx-intercepts.ts), but for
// shadowed VMREAD and VMWRITE and for VMFUNC.

import {
  AFTER_REPLACED, CPU_BASE, EVENT_FAIL, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY, cpu,
} from "./layout.generated"; // prettier-ignore
import {
  EXEC_INVEPT, EXEC_INVVPID, EXEC_VMCALL, EXEC_VMCLEAR, EXEC_VMFUNC, EXEC_VMLAUNCH, EXEC_VMPTRLD, EXEC_VMPTRST,
  EXEC_VMREAD, EXEC_VMRESUME, EXEC_VMWRITE, EXEC_VMXOFF, EXEC_VMXON, FEATURE_LONG_MODE,
} from "./decode-table.generated"; // prettier-ignore
import { appendEvent } from "./events";
import { raiseProtection, raiseUndefined } from "./faults";
import { finishWrite, operandForRead, operandForWrite } from "./memory";
import {
  ABORT, CF, CR4_VMXE, END, NEXT, NO_ADDRESS, ZF, code64, hasFeature, longMode, realOrVirtual, setRegisterSized,
  updateAttention, writeStatusFlags,
} from "./state"; // prettier-ignore
import { beforeWrite } from "./physical";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { loadCapabilities } from "./vmx-capabilities";
import { obeysFixedBits } from "./vmx-check-host";
import { ENTERED, FAILED, enterGuest, entryError, entryRule } from "./vmx-entry";
import { exitForVmxInstruction } from "./vmx-intercepts";
import { forgetGuestSpaces } from "./guest-tags";
import { invalidateEpt, invalidateVpid } from "./vmx-invalidate";
import { vmFunction } from "./vmx-function";
import { forgetEntries } from "./vmx-known-entry";
import {
  CLEAR, LAUNCHED, LAUNCH_STATE, REVISION, beyondWidth, dropCurrent, inNonRoot, pagePointer, read, read32, slotKind,
  slotOf, slotOffset, vmx, write,
} from "./vmx-state"; // prettier-ignore

const FEATURE_CONTROL_LOCK: u64 = 1;
const FEATURE_CONTROL_VMX: u64 = 4;
const SHADOW_INDICATOR: u32 = 0x80000000;
/** The width in bits 3:2 of a slot's kind, as in an encoding. */
const WIDTH_64: u32 = 1;

// Outcomes ("Conventions" of the chapter): VMsucceed, VMfailInvalid, VMfailValid --------------------------------------

export function vmSucceed(): u32 {
  writeStatusFlags(0);
  return NEXT;
}

export function vmFailInvalid(rule: u32): u32 {
  recordFailure(0, rule);
  writeStatusFlags(CF);
  return NEXT;
}

export function vmFailValid(error: u32, rule: u32): u32 {
  recordFailure(error, rule);
  write(F.VM_INSTRUCTION_ERROR, error);
  writeStatusFlags(ZF);
  return NEXT;
}

/** VMfail: valid where there is a current VMCS to hold the error. */
export function vmFail(error: u32, rule: u32): u32 {
  return vmx.region != 0 ? vmFailValid(error, rule) : vmFailInvalid(rule);
}

function recordFailure(error: u32, rule: u32): void {
  const event = appendEvent(EVENT_FAIL, cpu.instructionRip);
  event.code = <u16>error;
  event.rule = rule;
}

// Dispatch ------------------------------------------------------------------------------------------------------------

/** An instruction of VMX by execute number. */
export function executeVmx(op: MicroOp, execute: u32): u32 {
  if (execute == EXEC_VMXON) return vmxon(op);
  if (execute == EXEC_VMFUNC) return vmfunc();
  // Step 1: all others are undefined outside VMX operation and in the modes that do not know them.
  if (cpu.vmxOperation == 0) return raiseUndefined(X.RULE_VMX_OPERATION);
  const wrongMode = realOrVirtual() || (longMode() && !code64());
  // VMCALL alone calls the VMM from every mode of a guest.
  if (wrongMode && !(execute == EXEC_VMCALL && inNonRoot())) return raiseUndefined(X.RULE_VMX_MODE);
  if (!invalidationExists(execute)) return raiseUndefined(X.RULE_INVALIDATION_EXISTS);
  // Step 2: in non-root operation they exit, whatever the CPL.
  if (inNonRoot() && exitForVmxInstruction(op, execute)) return ABORT;
  // Step 3: CPL.
  if (cpu.cpl != 0) return raiseProtection(X.RULE_VMX_CPL);
  if (execute == EXEC_VMCALL) return vmFail(1, X.RULE_VMCALL_ROOT);
  if (execute == EXEC_VMXOFF) return vmxoff();
  if (execute == EXEC_VMCLEAR) return vmclear(op);
  if (execute == EXEC_VMPTRLD) return vmptrld(op);
  if (execute == EXEC_VMPTRST) return vmptrst(op);
  if (execute == EXEC_VMREAD) return vmread(op);
  if (execute == EXEC_VMWRITE) return vmwrite(op);
  if (execute == EXEC_VMLAUNCH || execute == EXEC_VMRESUME) return launchOrResume(execute == EXEC_VMRESUME);
  if (execute == EXEC_INVEPT) return invalidateEpt(op);
  if (execute == EXEC_INVVPID) return invalidateVpid(op);
  return raiseUndefined();
}

/** INVEPT and INVVPID exist where bits 20 and 32 of IA32_VMX_EPT_VPID_CAP say so. */
function invalidationExists(execute: u32): bool {
  if (execute == EXEC_INVEPT) return ((vmx.eptVpid >> 20) & 1) != 0;
  return execute != EXEC_INVVPID || ((vmx.eptVpid >> 32) & 1) != 0;
}

/** The physical address that a memory operand holds, in `pointerOperand`. False with a fault pending. */
let pointerOperand: u64 = 0;

function readPointer(op: MicroOp): bool {
  const at = operandForRead(op, 8);
  if (at == 0) return false;
  pointerOperand = load<u64>(at);
  return true;
}

function validPointer(address: u64): bool {
  return (address & 0xfff) == 0 && !beyondWidth(address);
}

/** The revision identifier with the shadow indicator at the start of a region. */
function regionHeader(address: u64): u32 {
  const region = pagePointer(address);
  return region == 0 ? u32.MAX_VALUE : load<u32>(region + REVISION);
}

// VMXON, VMXOFF -------------------------------------------------------------------------------------------------------

function vmxon(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_VMXE) == 0) return raiseUndefined(X.RULE_VMXON_CR4_VMXE);
  if (realOrVirtual() || (longMode() && !code64())) return raiseUndefined(X.RULE_VMX_MODE);
  if (cpu.vmxOperation == 0) {
    const rule = vmxonRule();
    if (rule != 0) return raiseProtection(rule);
    if (!readPointer(op)) return ABORT;
    const failed = startVmx(pointerOperand);
    return failed != 0 ? vmFailInvalid(failed) : vmSucceed();
  }
  if (inNonRoot() && exitForVmxInstruction(op, EXEC_VMXON)) return ABORT;
  if (cpu.cpl != 0) return raiseProtection(X.RULE_VMX_CPL);
  return vmFail(15, X.RULE_VMXON_ROOT);
}

/** Rule that makes VMXON raise #GP(0), or 0. */
export function vmxonRule(): u32 {
  loadCapabilities();
  if (cpu.cpl != 0) return X.RULE_VMX_CPL;
  if (!obeysFixedBits(cpu.cr0, vmx.cr0Fixed0, vmx.cr0Fixed1)) return X.RULE_VMXON_CR0_FIXED;
  if (!obeysFixedBits(cpu.cr4, vmx.cr4Fixed0, vmx.cr4Fixed1)) return X.RULE_VMXON_CR4_FIXED;
  const needed = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
  if ((cpu.featureControl & needed) != needed) return X.RULE_VMXON_FEATURE_CONTROL;
  return 0;
}

/** Enters VMX operation with a region. The rule that makes it VMfailInvalid, or 0. */
export function startVmx(region: u64): u32 {
  if (!validPointer(region)) return X.RULE_VMXON_ADDRESS;
  if (regionHeader(region) != <u32>(vmx.basic & 0x7fffffff)) return X.RULE_VMXON_REVISION;
  vmx.vmxonPointer = region;
  dropCurrent();
  forgetGuestSpaces();
  vmx.hostTagValid = 0;
  forgetEntries();
  cpu.vmxOperation = 1;
  cpu.monitorArmed = 0;
  return 0;
}

function vmxoff(): u32 {
  cpu.vmxOperation = 0;
  cpu.monitorArmed = 0;
  dropCurrent();
  // INIT signals are no longer blocked.
  updateAttention();
  vmSucceed();
  return END;
}

// VMCLEAR, VMPTRLD, VMPTRST -------------------------------------------------------------------------------------------

function vmclear(op: MicroOp): u32 {
  if (!readPointer(op)) return ABORT;
  const address = pointerOperand;
  if (!validPointer(address)) return vmFail(2, X.RULE_VMCLEAR_ADDRESS);
  if (address == vmx.vmxonPointer) return vmFail(3, X.RULE_VMCLEAR_VMXON_POINTER);
  clearRegion(address);
  return vmSucceed();
}

/** What VMCLEAR does to a region: launch state clear, no longer current. */
export function clearRegion(address: u64): void {
  const region = pagePointer(address);
  if (region != 0) {
    beforeWrite(address, 0x1000);
    store<u32>(region + LAUNCH_STATE, CLEAR);
  }
  if (vmx.current == address) dropCurrent();
}

function vmptrld(op: MicroOp): u32 {
  if (!readPointer(op)) return ABORT;
  const address = pointerOperand;
  if (!validPointer(address)) return vmFail(9, X.RULE_VMPTRLD_ADDRESS);
  if (address == vmx.vmxonPointer) return vmFail(10, X.RULE_VMPTRLD_VMXON_POINTER);
  const header = regionHeader(address);
  const shadow = (header & SHADOW_INDICATOR) != 0;
  if ((header & ~SHADOW_INDICATOR) != <u32>(vmx.basic & 0x7fffffff) || (shadow && !shadowingSupported())) {
    return vmFail(11, X.RULE_VMPTRLD_REVISION);
  }
  makeCurrent(address);
  return vmSucceed();
}

function shadowingSupported(): bool {
  return slotKind(<u32>slotOf(0x2026)) != 0; // the VMREAD-bitmap address exists where VMCS shadowing does
}

/** Makes a region the current VMCS; all of it is written sooner or later, so it goes through the door at once. */
export function makeCurrent(address: u64): void {
  vmx.current = address;
  vmx.region = pagePointer(address);
  beforeWrite(address, 0x1000);
}

function vmptrst(op: MicroOp): u32 {
  const at = operandForWrite(op, 8);
  if (at == 0) return ABORT;
  store<u64>(at, vmx.current);
  const ends = finishWrite();
  if (ends == ABORT) return ABORT;
  vmSucceed();
  return ends;
}

// VMREAD, VMWRITE -----------------------------------------------------------------------------------------------------

function operandBytes(): u32 {
  return code64() ? 8 : 4;
}

/** Low `bytes` bytes of the register at an offset of the state block. */
function registerOperand(offset: u32): u64 {
  return code64() ? load<u64>(CPU_BASE + offset) : load<u32>(CPU_BASE + offset);
}

/** Region that VMREAD and VMWRITE work on: the shadow VMCS in non-root operation. */
function targetRegion(): u32 {
  return inNonRoot() ? vmx.shadow : vmx.region;
}

function vmread(op: MicroOp): u32 {
  const region = targetRegion();
  if (region == 0) return vmFailInvalid(X.RULE_VMX_NO_CURRENT_VMCS);
  const encoding = registerOperand(op.second);
  if (!fieldExists(encoding)) return vmFailValid(12, X.RULE_VMREAD_FIELD);
  const value = readField(region, <u32>encoding);
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterSized(op.first, value, operandBytes());
    return vmSucceed();
  }
  const bytes = operandBytes();
  const at = operandForWrite(op, bytes);
  if (at == 0) return ABORT;
  if (bytes == 8) store<u64>(at, value);
  else store<u32>(at, <u32>value);
  const ends = finishWrite();
  if (ends == ABORT) return ABORT;
  vmSucceed();
  return ends;
}

function vmwrite(op: MicroOp): u32 {
  const region = targetRegion();
  if (region == 0) return vmFailInvalid(X.RULE_VMX_NO_CURRENT_VMCS);
  let value: u64;
  if ((op.prefixes & PREFIX_SECOND_MEMORY) == 0) value = registerOperand(op.second);
  else {
    const at = operandForRead(op, operandBytes());
    if (at == 0) return ABORT;
    value = code64() ? load<u64>(at) : load<u32>(at);
  }
  const encoding = registerOperand(op.first);
  if (!fieldExists(encoding)) return vmFailValid(12, X.RULE_VMWRITE_FIELD);
  const readOnly = (slotKind(<u32>slotOf(encoding & ~(<u64>1))) & 2) != 0;
  if (readOnly && ((vmx.misc >> 29) & 1) == 0) return vmFailValid(13, X.RULE_VMWRITE_READ_ONLY);
  writeField(region, <u32>encoding, value);
  return vmSucceed();
}

/** The encoding names a field of this model; high access only of 64-bit fields. */
export function fieldExists(encoding: u64): bool {
  const slot = slotOf(encoding);
  if (slot < 0) return false;
  const kind = slotKind(<u32>slot);
  if (kind == 0) return false;
  return (encoding & 1) == 0 || ((kind >> 2) & 3) == WIDTH_64;
}

/** Value of a field as VMREAD gives it. */
export function readField(region: u32, encoding: u32): u64 {
  const value = load<u64>(region + slotOffset(<u32>slotOf(encoding)));
  return (encoding & 1) != 0 ? value >> 32 : value;
}

/** Writes a field, cut to its width; a field longer than the operand has its high bits cleared. */
export function writeField(region: u32, encoding: u32, value: u64): void {
  const slot = <u32>slotOf(encoding);
  const at = region + slotOffset(slot);
  const width = (slotKind(slot) >> 2) & 3;
  if ((encoding & 1) != 0) store<u32>(at + 4, <u32>value);
  else if (width == 0) store<u64>(at, value & 0xffff);
  else if (width == 2) store<u64>(at, value & 0xffffffff);
  else if (width == 3 && !hasFeature(FEATURE_LONG_MODE)) store<u64>(at, value & 0xffffffff);
  else store<u64>(at, value);
}

// VMLAUNCH, VMRESUME --------------------------------------------------------------------------------------------------

function launchOrResume(resume: bool): u32 {
  const basic = basicEntryRule(resume);
  if (basic == X.RULE_VMX_NO_CURRENT_VMCS || basic == X.RULE_ENTRY_SHADOW_VMCS) return vmFailInvalid(basic);
  if (basic != 0) return vmFailValid(basicEntryError(basic), basic);
  const outcome = enterGuest(cpu.instructionRip);
  if (outcome == FAILED) return vmFailValid(entryError, entryRule);
  // Nothing of the host's follows the instruction into the guest: no single step, no end of its blocking by STI.
  cpu.afterWrite |= AFTER_REPLACED;
  return END;
}

/** "Basic VM-Entry Checks": the rule that does not hold, or 0. */
export function basicEntryRule(resume: bool): u32 {
  if (vmx.region == 0) return X.RULE_VMX_NO_CURRENT_VMCS;
  if ((load<u32>(vmx.region + REVISION) & SHADOW_INDICATOR) != 0) return X.RULE_ENTRY_SHADOW_VMCS;
  if ((cpu.shadow & 2) != 0) return X.RULE_ENTRY_MOV_SS;
  const launched = load<u32>(vmx.region + LAUNCH_STATE) == LAUNCHED;
  if (!resume && launched) return X.RULE_VMLAUNCH_CLEAR;
  if (resume && !launched) return X.RULE_VMRESUME_LAUNCHED;
  return 0;
}

export function basicEntryError(rule: u32): u32 {
  if (rule == X.RULE_ENTRY_MOV_SS) return 26;
  return rule == X.RULE_VMLAUNCH_CLEAR ? 4 : 5;
}

// VMFUNC --------------------------------------------------------------------------------------------------------------

function vmfunc(): u32 {
  if (!inNonRoot() || (vmx.secondary & X.ENABLE_VM_FUNCTIONS) == 0) return raiseUndefined(X.RULE_VMFUNC_NON_ROOT);
  return vmFunction();
}
