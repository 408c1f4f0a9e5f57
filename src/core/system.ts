// System instructions without a file of their own: CPUID, HLT, TLB and cache control, time stamps, XCR0
// (Intel SDM vol. 2, the instruction pages).

import {
  ACTIVITY_HLT, cpu, CPUID_BASE, CPUID_RECORD_SIZE, CpuidRecord, MicroOp, SEGMENT_GS,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, code64, CR4_OSXSAVE, CR4_PCE, CR4_PCIDE, CR4_TSD, END, hasFeature, isCanonicalBase, NEXT, registerSized,
  segment, updateAttention,
} from "./state"; // prettier-ignore
import { raiseProtection, raiseUndefined } from "./faults";
import { operandForRead, operandLinear } from "./memory";
import { flushTlb, flushTlbPage } from "./tlb";
import { forgetLocal, forgetPage, forgetPageOf, forgetPcid, forgetTranslations } from "./kept-translations";
import { timeStamp } from "./msr";
import {
  guestTsc, INTERCEPT_CPUID, INTERCEPT_HLT, INTERCEPT_INVLPG, INTERCEPT_INVPCID, INTERCEPT_RDPMC, INTERCEPT_RDTSC,
  INTERCEPT_RDTSCP, INTERCEPT_XSETBV, undefinedInGuest,
} from "./virtualization"; // prettier-ignore
import { RULE_ADDRESS_CANONICAL, RULE_INSTRUCTION_PRIVILEGE, RULE_XCR_VALUE } from "./rules.generated";
import { privileged, taken } from "./system-operands";
import { compactedAreaBytes, componentsInUse, xsaveAreaBytes } from "./fpu-areas";
import { FEATURE_XGETBV_ECX1 } from "./decode-table.generated";

/** CPUID: the model's leaf; beyond the highest basic leaf Intel gives the data of the highest one. */
export function identify(op: MicroOp): u32 {
  if (taken(INTERCEPT_CPUID, 0, op)) return ABORT;
  let found = findLeaf(<u32>cpu.rax, <u32>cpu.rcx);
  if (found === null && !isKnownLeaf(<u32>cpu.rax) && cpu.vendor == 0)
    found = findLeaf(highestBasicLeaf(), <u32>cpu.rcx);
  let eax: u32 = 0;
  let ebx: u32 = 0;
  let ecx: u32 = 0;
  let edx: u32 = 0;
  if (found !== null) {
    const record = changetype<CpuidRecord>(found);
    eax = record.eax;
    ebx = record.ebx;
    ecx = record.ecx;
    edx = record.edx;
    // The sizes of the XSAVE area follow XCR0.
    if (record.leaf == 0xd && record.subleaf == 0) ebx = xsaveAreaBytes();
    if (record.leaf == 0xd && record.subleaf == 1 && ebx != 0) ebx = compactedAreaBytes();
    if (record.leaf == 0xb) edx = <u32>cpu.processorId;
    if (record.leaf == 1) {
      ebx |= <u32>cpu.processorId << 24;
      if ((cpu.cr4 & CR4_OSXSAVE) != 0) ecx |= 1 << 27;
      // The APIC bit follows the global enable of IA32_APIC_BASE.
      if ((cpu.apicBase & 0x800) == 0 && cpu.apicBase != 0) edx &= ~(1 << 9);
    }
  }
  cpu.rax = eax;
  cpu.rbx = ebx;
  cpu.rcx = ecx;
  cpu.rdx = edx;
  return NEXT;
}

function cpuidRecord(index: u32): CpuidRecord {
  return changetype<CpuidRecord>(CPUID_BASE + index * CPUID_RECORD_SIZE);
}

function findLeaf(leaf: u32, subleaf: u32): CpuidRecord | null {
  for (let i: u32 = 0; i < cpu.cpuidCount; i++) {
    const record = cpuidRecord(i);
    if (record.leaf == leaf && (record.anySubleaf != 0 || record.subleaf == subleaf)) return record;
  }
  return null;
}

/** Within the ranges that leaves 0 and 80000000H announce: a missing leaf or subleaf reads as zero. */
function isKnownLeaf(leaf: u32): bool {
  if (leaf <= highestBasicLeaf()) return true;
  const extended = findLeaf(0x80000000, 0);
  return leaf >= 0x80000000 && extended !== null && leaf <= changetype<CpuidRecord>(extended).eax;
}

/** What EDX holds after power-up and INIT: leaf 1 says it too. */
export function familyModelStepping(): u32 {
  const leaf = findLeaf(1, 0);
  return leaf === null ? 0 : changetype<CpuidRecord>(leaf).eax;
}

function highestBasicLeaf(): u32 {
  const first = findLeaf(0, 0);
  return first === null ? 0 : changetype<CpuidRecord>(first).eax;
}

/** HLT. */
export function halt(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  if (taken(INTERCEPT_HLT, 0, op)) return ABORT;
  cpu.activity = ACTIVITY_HLT;
  cpu.haltRip = cpu.rip - op.length;
  updateAttention();
  return END;
}

/** INVLPG. */
export function invalidatePage(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  const linear = operandLinear(op);
  if (taken(INTERCEPT_INVLPG, linear, op)) return ABORT;
  flushTlbPage(linear, false);
  forgetPage(linear);
  return END;
}

/** INVPCID: all types drop all translations, which the manual allows, but for those that a run asks to be kept. */
export function invalidatePcid(op: MicroOp): u32 {
  if (cpu.guestMode != 0 && undefinedInGuest(INTERCEPT_INVPCID)) return ABORT;
  if (!privileged()) return ABORT;
  const type = registerSized(op.first, code64() ? 8 : 4);
  if (taken(INTERCEPT_INVPCID, type, op)) return ABORT;
  const at = operandForRead(op, 16);
  if (at == 0) return ABORT;
  const pcid = load<u64>(at);
  const linear = load<u64>(at + 8);
  if (type > 3) return raiseProtection();
  if (pcid >> 12 != 0) return raiseProtection();
  if (type < 2 && (cpu.cr4 & CR4_PCIDE) == 0 && pcid != 0) return raiseProtection();
  if (type == 0 && !isCanonicalBase(linear)) return raiseProtection(RULE_ADDRESS_CANONICAL);
  if (type == 0) forgetPageOf(linear, <u32>pcid, false);
  else if (type == 1) forgetPcid(<u32>pcid);
  else if (type == 2) forgetTranslations();
  else forgetLocal();
  flushTlb();
  return END;
}

/** INVD, WBINVD: there are no caches to write back. */
export function invalidateCaches(op: MicroOp, intercept: u32): u32 {
  if (!privileged()) return ABORT;
  return taken(intercept, 0, op) ? ABORT : NEXT;
}

/** RDTSC, RDTSCP. */
export function readTimeStamp(op: MicroOp, withAux: bool): u32 {
  if (withAux && cpu.guestMode != 0 && undefinedInGuest(INTERCEPT_RDTSCP)) return ABORT;
  if ((cpu.cr4 & CR4_TSD) != 0 && cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  if (taken(withAux ? INTERCEPT_RDTSCP : INTERCEPT_RDTSC, 0, op)) return ABORT;
  let value = timeStamp();
  if (cpu.guestMode != 0) value = guestTsc(value);
  cpu.rax = value & 0xffffffff;
  cpu.rdx = value >> 32;
  if (withAux) cpu.rcx = cpu.tscAux & 0xffffffff;
  return NEXT;
}

/** RDPMC: the models have no performance counters. */
export function readCounter(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_PCE) == 0 && cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  if (taken(INTERCEPT_RDPMC, cpu.rcx, op)) return ABORT;
  return raiseProtection();
}

/** SWAPGS. */
export function swapGs(): u32 {
  if (!privileged()) return ABORT;
  const gs = segment(SEGMENT_GS);
  const base = gs.base;
  gs.base = cpu.kernelGsBase;
  cpu.kernelGsBase = base;
  return NEXT;
}

/** XGETBV: XCR0, and with ECX 1, where the model has it, which of its components are in use. */
export function getExtendedControl(): u32 {
  if ((cpu.cr4 & CR4_OSXSAVE) == 0) return raiseUndefined();
  const inUse = <u32>cpu.rcx == 1 && hasFeature(FEATURE_XGETBV_ECX1);
  if (<u32>cpu.rcx != 0 && !inUse) return raiseProtection(RULE_XCR_VALUE);
  const value = inUse ? cpu.xcr0 & componentsInUse() : cpu.xcr0;
  cpu.rax = value & 0xffffffff;
  cpu.rdx = value >> 32;
  return NEXT;
}

/** XSETBV: x87 state always, AVX only with SSE, nothing that leaf 0DH does not report. */
export function setExtendedControl(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_OSXSAVE) == 0) return raiseUndefined();
  if (!privileged()) return ABORT;
  if (taken(INTERCEPT_XSETBV, cpu.rcx, op)) return ABORT;
  const value = (cpu.rax & 0xffffffff) | (cpu.rdx << 32);
  const leaf = findLeaf(0xd, 0);
  const supported: u64 = leaf === null ? 3 : changetype<CpuidRecord>(leaf).eax;
  const valid = (value & 1) != 0 && (value & ~supported) == 0 && (value & 6) != 4;
  if (<u32>cpu.rcx != 0 || !valid) return raiseProtection(RULE_XCR_VALUE);
  cpu.xcr0 = value;
  return END;
}
