// Model-specific registers: RDMSR, WRMSR. Which MSRs exist, what they hold after reset and which bits may change is the
// model's table (src/machine/model.ts); the few with behaviour or a place in the state block are handled by address.

import {
  ATTENTION_VIRTUALIZATION, Cpu, cpu, MSR_RECORD_SIZE, MsrRecord, MSRS_BASE, SEGMENT_FS, SEGMENT_GS,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, CR0_PG, EFER_LMA, EFER_LME, EFER_LMSLE, EFER_SVME, END, isCanonicalBase, NEXT, refresh, segment,
  updateAttention, updateCodeKey,
} from "./state"; // prettier-ignore
import { EXEC_WRMSR } from "./decode-table.generated";
import { raiseProtection, stopUnsupported } from "./faults";
import {
  RULE_ADDRESS_CANONICAL, RULE_EFER_PAGING, RULE_INSTRUCTION_PRIVILEGE, RULE_MSR_LOCKED, RULE_MSR_RESERVED,
  RULE_MSR_UNKNOWN, RULE_VM_CR_SVMDIS,
} from "./rules.generated"; // prettier-ignore
import { msrRead, msrWrite, processorChanged } from "./host";
import { flushTlb } from "./tlb";
import {
  guestApicMsr, guestReadsApicMsr, guestTsc, guestWritesApicMsr, GUEST_VMX, interceptMsr,
} from "./virtualization"; // prettier-ignore
import { MSR_DONE, MSR_NORMAL } from "./vmx-apic";
import { moveTimer } from "./vmx-timer";

const IA32_TSC: u32 = 0x10;
const IA32_APIC_BASE: u32 = 0x1b;
const IA32_FEATURE_CONTROL: u32 = 0x3a;
const IA32_TSC_ADJUST: u32 = 0x3b;
const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_SYSENTER_ESP: u32 = 0x175;
const IA32_SYSENTER_EIP: u32 = 0x176;
const IA32_MISC_ENABLE: u32 = 0x1a0;
const IA32_DEBUGCTL: u32 = 0x1d9;
const BR_FROM: u32 = 0x1db;
const BR_TO: u32 = 0x1dc;
const LASTEXCPFROMIP: u32 = 0x1dd;
const LASTEXCPTOIP: u32 = 0x1de;
const IA32_PAT: u32 = 0x277;
const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
const IA32_TSC_DEADLINE: u32 = 0x6e0;
export const IA32_MCG_STATUS: u32 = 0x17a;
export const IA32_XSS: u32 = 0xda0;
const IA32_EFER: u32 = 0xc0000080;
const IA32_STAR: u32 = 0xc0000081;
const IA32_LSTAR: u32 = 0xc0000082;
const IA32_CSTAR: u32 = 0xc0000083;
const IA32_FMASK: u32 = 0xc0000084;
const IA32_FS_BASE: u32 = 0xc0000100;
const IA32_GS_BASE: u32 = 0xc0000101;
const IA32_KERNEL_GS_BASE: u32 = 0xc0000102;
const IA32_TSC_AUX: u32 = 0xc0000103;
const VM_CR: u32 = 0xc0010114;
const VM_HSAVE_PA: u32 = 0xc0010117;
const SVM_KEY: u32 = 0xc0010118;
const AVIC_DOORBELL: u32 = 0xc001011b;

/** IA32_APIC_BASE: x2APIC mode, and the global enable. */
const APIC_EXTD: u64 = 1 << 10;
const APIC_EN: u64 = 1 << 11;

const VM_CR_LOCK: u64 = 1 << 3;
const VM_CR_SVMDIS: u64 = 1 << 4;

/** The model's record of an MSR, or null. Records are in no particular order; there are some dozens. */
function findMsr(address: u32): MsrRecord | null {
  for (let i: u32 = 0; i < cpu.msrCount; i++) {
    const record = changetype<MsrRecord>(MSRS_BASE + i * MSR_RECORD_SIZE);
    if (record.address == address) return record;
  }
  return null;
}

/** Address of the MSR's value in the state block, 0 where its record holds it. */
function fieldOf(address: u32): usize {
  const block = changetype<usize>(cpu);
  if (address == IA32_APIC_BASE) return block + offsetof<Cpu>("apicBase");
  if (address == IA32_FEATURE_CONTROL) return block + offsetof<Cpu>("featureControl");
  if (address == IA32_TSC_ADJUST) return block + offsetof<Cpu>("tscAdjust");
  if (address == IA32_SYSENTER_CS) return block + offsetof<Cpu>("sysenterCs");
  if (address == IA32_SYSENTER_ESP) return block + offsetof<Cpu>("sysenterEsp");
  if (address == IA32_SYSENTER_EIP) return block + offsetof<Cpu>("sysenterEip");
  if (address == IA32_MISC_ENABLE) return block + offsetof<Cpu>("miscEnable");
  if (address == IA32_DEBUGCTL) return block + offsetof<Cpu>("debugctl");
  if (address == BR_FROM) return block + offsetof<Cpu>("branchFrom");
  if (address == BR_TO) return block + offsetof<Cpu>("branchTo");
  if (address == LASTEXCPFROMIP) return block + offsetof<Cpu>("exceptionFrom");
  if (address == LASTEXCPTOIP) return block + offsetof<Cpu>("exceptionTo");
  if (address == IA32_PAT) return block + offsetof<Cpu>("pat");
  if (address == IA32_MTRR_DEF_TYPE) return block + offsetof<Cpu>("mtrrDefType");
  if (address == IA32_EFER) return block + offsetof<Cpu>("efer");
  if (address == IA32_STAR) return block + offsetof<Cpu>("star");
  if (address == IA32_LSTAR) return block + offsetof<Cpu>("lstar");
  if (address == IA32_CSTAR) return block + offsetof<Cpu>("cstar");
  if (address == IA32_FMASK) return block + offsetof<Cpu>("sfmask");
  if (address == IA32_KERNEL_GS_BASE) return block + offsetof<Cpu>("kernelGsBase");
  if (address == IA32_TSC_AUX) return block + offsetof<Cpu>("tscAux");
  if (address == VM_CR) return block + offsetof<Cpu>("vmCr");
  if (address == VM_HSAVE_PA) return block + offsetof<Cpu>("vmHsavePa");
  if (address == IA32_FS_BASE) return changetype<usize>(segment(SEGMENT_FS));
  if (address == IA32_GS_BASE) return changetype<usize>(segment(SEGMENT_GS));
  return 0;
}

/** In x2APIC mode MSRs 800H to 8FFH are the registers of the local APIC. */
function isApicRegister(address: u32): bool {
  return address >> 8 == 8 && (cpu.apicBase & (APIC_EN | APIC_EXTD)) == (APIC_EN | APIC_EXTD);
}

/** The time-stamp counter: it follows the retired instructions (docs/decisions/0004-time-is-virtual.md). */
export function timeStamp(): u64 {
  return cpu.retired + cpu.tscOffset;
}

function setTscOffset(offset: u64): void {
  const before = timeStamp();
  cpu.tscOffset = offset;
  if (cpu.guestMode == GUEST_VMX) moveTimer(before, timeStamp());
}

/** Value of an MSR that exists, without privilege or intercept. */
export function msrValue(address: u32): u64 {
  if (address == IA32_TSC) return timeStamp();
  if (address == IA32_TSC_DEADLINE && msrRead(address) != 0) return cpu.stopDetail;
  const field = fieldOf(address);
  if (field != 0) return load<u64>(field);
  const record = findMsr(address);
  return record === null ? 0 : changetype<MsrRecord>(record).value;
}

/** Stores a value without checks. */
export function setMsrValue(address: u32, value: u64): void {
  if (address == IA32_TSC) {
    setTscOffset(value - cpu.retired);
    return;
  }
  const field = fieldOf(address);
  if (field != 0) store<u64>(field, value);
  else {
    const record = findMsr(address);
    if (record !== null) changetype<MsrRecord>(record).value = value;
  }
}

export function msrExists(address: u32): bool {
  return findMsr(address) !== null;
}

/** RDMSR. */
export function readMsr(): u32 {
  if (cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  const address = <u32>cpu.rcx;
  if (cpu.guestMode != 0 && interceptMsr(address, false)) return ABORT;
  let value: u64;
  if (cpu.guestMode != 0 && address >> 8 == 8 && guestReadsApicMsr(address)) value = guestApicMsr(address);
  else if (!readMsrChecked(address)) return raiseProtection(RULE_MSR_UNKNOWN);
  else value = cpu.stopDetail;
  if (address == IA32_TSC && cpu.guestMode != 0) value = guestTsc(value);
  cpu.rax = value & 0xffffffff;
  cpu.rdx = value >> 32;
  return NEXT;
}

/** What RDMSR would read, in `cpu.stopDetail`; false where it raises #GP(0). */
export function readMsrChecked(address: u32): bool {
  if (isApicRegister(address)) return msrRead(address) != 0;
  if (!msrExists(address) || address == AVIC_DOORBELL) return false;
  cpu.stopDetail = address == SVM_KEY ? 0 : msrValue(address);
  return true;
}

/** WRMSR. */
export function writeMsr(): u32 {
  if (cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  const address = <u32>cpu.rcx;
  if (cpu.guestMode != 0 && interceptMsr(address, true)) return ABORT;
  const value = (cpu.rax & 0xffffffff) | (cpu.rdx << 32);
  if (cpu.guestMode != 0 && address >> 8 == 8) {
    const outcome = guestWritesApicMsr(address, value);
    if (outcome != MSR_NORMAL) return outcome == MSR_DONE ? END : raiseProtection(RULE_MSR_RESERVED);
  }
  const limits = address == IA32_EFER && (value & ~cpu.efer & EFER_LMSLE) != 0;
  const rule = writeMsrChecked(address, value);
  if (rule != 0) return raiseProtection(rule);
  // Segment limits of 64-bit mode are not looked at here: who asks for them learns it.
  return limits ? stopUnsupported(EXEC_WRMSR) : END;
}

/** Writes an MSR with all checks of WRMSR; the number of the rule that it breaks, or 0. Also loads of MSR areas. */
export function writeMsrChecked(address: u32, value: u64): u32 {
  if (isApicRegister(address)) return msrWrite(address, value) != 0 ? 0 : RULE_MSR_RESERVED;
  const found = findMsr(address);
  if (found === null) return RULE_MSR_UNKNOWN;
  const record = changetype<MsrRecord>(found);
  if (record.readOnly != 0) return RULE_MSR_LOCKED;
  if (address == IA32_EFER) return writeEfer(value);
  if (address == IA32_TSC) {
    // IA32_TSC_ADJUST follows what is written to the counter (SDM vol. 3B, "IA32_TSC_ADJUST MSR Support").
    cpu.tscAdjust += value - timeStamp();
    setTscOffset(value - cpu.retired);
    processorChanged();
    return 0;
  }
  if (address == IA32_TSC_DEADLINE && msrWrite(address, value) != 0) return 0;
  const old = msrValue(address);
  if (((value ^ old) & ~record.writable) != 0) return RULE_MSR_RESERVED;
  if (address == IA32_FEATURE_CONTROL && (old & 1) != 0) return RULE_MSR_LOCKED;
  if (holdsAddress(address) && !isCanonicalBase(value)) return RULE_ADDRESS_CANONICAL;
  if (address == IA32_APIC_BASE && !validApicState(old, value)) return RULE_MSR_RESERVED;
  if (address == IA32_PAT && !validPat(value)) return RULE_MSR_RESERVED;
  if (address == VM_CR) {
    const locked = (old & VM_CR_LOCK) != 0;
    // LOCK and SVMDIS stay once LOCK is set; SVMDIS cannot be set while EFER.SVME is.
    const kept: u64 = locked ? VM_CR_LOCK | VM_CR_SVMDIS : 0;
    if ((value & VM_CR_SVMDIS) != 0 && (cpu.efer & EFER_SVME) != 0) return RULE_MSR_RESERVED;
    cpu.vmCr = (value & ~kept) | (old & kept);
    return 0;
  }
  if (address == SVM_KEY) {
    useSvmKey(record, value);
    return 0;
  }
  if (address == IA32_TSC_ADJUST) setTscOffset(cpu.tscOffset + value - old);
  setMsrValue(address, value);
  if (address == IA32_TSC_ADJUST) processorChanged();
  if (address == IA32_FS_BASE || address == IA32_GS_BASE) updateCodeKey();
  if (address == IA32_APIC_BASE) processorChanged();
  if (address == IA32_DEBUGCTL) updateAttention();
  if (address == AVIC_DOORBELL) cpu.attention |= ATTENTION_VIRTUALIZATION;
  return 0;
}

/** "SVM_KEY MSR": without VM_CR.LOCK a write sets the key; with it the same value, if it is not 0, ends the lock. */
function useSvmKey(record: MsrRecord, value: u64): void {
  if ((cpu.vmCr & VM_CR_LOCK) == 0) record.value = value;
  else if (value != 0 && value == record.value) cpu.vmCr &= ~VM_CR_LOCK;
}

/** x2APIC mode is entered from xAPIC mode and left by disabling (SDM vol. 3A, "x2APIC State Transitions"). */
function validApicState(old: u64, value: u64): bool {
  const from = old & (APIC_EN | APIC_EXTD);
  const to = value & (APIC_EN | APIC_EXTD);
  if (to == APIC_EXTD) return false;
  if (to == (APIC_EN | APIC_EXTD)) return from != 0;
  return to == 0 || from != (APIC_EN | APIC_EXTD);
}

function holdsAddress(address: u32): bool {
  return (
    address == IA32_FS_BASE ||
    address == IA32_GS_BASE ||
    address == IA32_KERNEL_GS_BASE ||
    address == IA32_LSTAR ||
    address == IA32_CSTAR ||
    ((address == IA32_SYSENTER_ESP || address == IA32_SYSENTER_EIP) && cpu.vendor == 0)
  );
}

/** Memory types 2, 3 and above 7 are reserved. */
function validPat(value: u64): bool {
  for (let i: u64 = 0; i < 64; i += 8) {
    const type = (value >> i) & 0xff;
    if (type == 2 || type == 3 || type > 7) return false;
  }
  return true;
}

function writeEfer(value: u64): u32 {
  const old = cpu.efer;
  if ((value & ~cpu.eferAllowed) != 0) return RULE_MSR_RESERVED;
  if (((value ^ old) & EFER_LME) != 0 && (cpu.cr0 & CR0_PG) != 0) return RULE_EFER_PAGING;
  if ((value & ~old & EFER_SVME) != 0 && (cpu.vmCr & VM_CR_SVMDIS) != 0) return RULE_VM_CR_SVMDIS;
  // LMA belongs to the processor.
  cpu.efer = (value & ~EFER_LMA) | (old & EFER_LMA);
  flushTlb();
  refresh();
  return 0;
}
