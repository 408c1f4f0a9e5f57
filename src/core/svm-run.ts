// VMRUN: from host mode into a guest. AMD APM vol. 2, chapter "Secure Virtual Machine", "VMRUN Instruction".

import {
  ACTIVITY_ACTIVE, ATTENTION_VIRTUALIZATION, EVENT_ENTER, PAGING_PAE, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_GS,
  SEGMENT_SS, cpu,
} from "./layout.generated"; // prettier-ignore
import { appendEvent } from "./events";
import { loadPdptes } from "./paging";
import {
  CR0_ET, CR0_PE, CR0_PG, EFER_LMA, EFER_LME, IF, UNUSABLE, VM, canonical, refresh, segment, updateAttention,
  writeFlags,
} from "./state"; // prettier-ignore
import { avicEnabled } from "./svm-avic";
import { checkVmcb } from "./svm-checks";
import { performSvmReject } from "./svm-exit";
import { loadBranches, saveHostBranches, saveHostState } from "./svm-host-state";
import * as S from "./svm-facts.generated";
import { V_IRQ, svm, vintr, virtualBranches, vmcb32, vmcb64, vmcbRegion } from "./svm-state";
import { enterGuestAsid, leaveHostAsid } from "./svm-tlb";

const NESTED_PAGING: u64 = 1;
const DR7_FIXED: u64 = 0x400;
const DR6_FIXED: u64 = 0xffff0ff0;
const DR6_BITS: u64 = 0xe00f;
const DR7_BITS: u64 = 0xffff2bff;

/** Runs the guest of a VMCB. `nextRip` is where the host goes on. The rule that made it invalid, or 0. */
export function runGuest(vmcb: u64, nextRip: u64): u32 {
  svm.vmcb = vmcb;
  svm.region = vmcbRegion(vmcb);
  // Step 1: the host state.
  saveHostState(nextRip);
  svm.hostIf = (cpu.systemFlags & IF) != 0 ? 1 : 0;
  svm.hostCr0 = cpu.cr0;
  svm.hostCr4 = cpu.cr4;
  svm.hostEfer = cpu.efer;
  svm.nested = 0;
  leaveHostAsid();
  // Step 2: the control area, and whether the guest is consistent.
  const rule = checkVmcb();
  if (rule != 0) {
    performSvmReject(rule);
    return rule;
  }
  svm.nested = (vmcb64(S.VMCB_NESTED_CTL) & NESTED_PAGING) != 0 ? 1 : 0;
  svm.nestedCr3 = vmcb64(S.VMCB_N_CR3);
  svm.tscOffset = vmcb64(S.VMCB_TSC_OFFSET);
  svm.pauseLeft = vmcb32(S.VMCB_PAUSE_FILTER_THRESHOLD) >> 16;
  // Step 3: the guest state.
  if (virtualBranches()) {
    saveHostBranches();
    loadBranches(svm.region);
  }
  loadGuestState();
  cpu.guestMode = 2;
  cpu.nestedPaging = svm.nested;
  enterGuestAsid();
  cpu.gif = 1;
  if (cpu.pagingMode == PAGING_PAE && svm.nested == 0) loadPdptes(cpu.cr3);
  const event = appendEvent(EVENT_ENTER, cpu.instructionRip);
  event.a = vmcb;
  event.b = cpu.rip;
  cpu.context = vmcb;
  // Step 4: an event to be injected, and virtual interrupts, wait for the first boundary.
  cpu.entered = 1;
  svm.injectionPending = <u32>(vmcb64(S.VMCB_EVENTINJ) >> 31) & 1;
  updateAttention();
  svm.avic = avicEnabled() ? 1 : 0;
  svm.avicWrite = 0;
  if (svm.injectionPending != 0 || vintr(V_IRQ) || svm.avic != 0) cpu.attention |= ATTENTION_VIRTUALIZATION;
  return 0;
}

/** A segment register from the VMCB: attributes are descriptor bits 47:40 and 55:52. */
export function loadVmcbSegment(number: u32, region: u32, offset: u32): void {
  const it = segment(number);
  const at = region + offset;
  const attributes = <u32>load<u16>(at, 2);
  it.selector = load<u16>(at);
  it.limit = load<u32>(at, 4);
  it.base = canonical(load<u64>(at, 8));
  it.rights = (attributes & 0xff) | ((attributes & 0xf00) << 4);
  // A register that is not present cannot be used; CS always can.
  if ((attributes & 0x80) == 0 && number != SEGMENT_CS) it.rights |= UNUSABLE;
}

/** In real and virtual-8086 mode every segment can be used, and the mode gives the CPL whatever the field says. */
function applyMode(): void {
  const flags = vmcb64(S.VMCB_RFLAGS);
  const real = (cpu.cr0 & CR0_PE) == 0;
  cpu.cpl = real ? 0 : (flags & VM) != 0 ? 3 : load<u8>(svm.region + S.VMCB_CPL) & 3;
  if (!real && (flags & VM) == 0) return;
  for (let number: u32 = SEGMENT_ES; number <= SEGMENT_GS; number++) segment(number).rights &= ~UNUSABLE;
}

function loadGuestState(): void {
  loadVmcbSegment(SEGMENT_ES, svm.region, S.VMCB_ES_SELECTOR);
  loadVmcbSegment(SEGMENT_CS, svm.region, S.VMCB_CS_SELECTOR);
  loadVmcbSegment(SEGMENT_SS, svm.region, S.VMCB_SS_SELECTOR);
  loadVmcbSegment(SEGMENT_DS, svm.region, S.VMCB_DS_SELECTOR);
  cpu.gdtrBase = canonical(vmcb64(S.VMCB_GDTR_BASE));
  cpu.gdtrLimit = vmcb32(S.VMCB_GDTR_LIMIT) & 0xffff;
  cpu.idtrBase = canonical(vmcb64(S.VMCB_IDTR_BASE));
  cpu.idtrLimit = vmcb32(S.VMCB_IDTR_LIMIT) & 0xffff;
  // Reserved bits are ignored and ET is 1, as with MOV to CR0: of VMRUN the manual's rule is known from quotations only.
  cpu.cr0 = (vmcb64(S.VMCB_CR0) & cpu.cr0Fixed1) | CR0_ET;
  cpu.cr2 = vmcb64(S.VMCB_CR2);
  cpu.cr3 = vmcb64(S.VMCB_CR3);
  cpu.cr4 = vmcb64(S.VMCB_CR4);
  // LMA follows from LME and paging, whatever the field says.
  cpu.efer = vmcb64(S.VMCB_EFER) & ~EFER_LMA;
  if ((cpu.efer & EFER_LME) != 0 && (cpu.cr0 & CR0_PG) != 0) cpu.efer |= EFER_LMA;
  cpu.dr6 = (vmcb64(S.VMCB_DR6) & DR6_BITS) | DR6_FIXED;
  cpu.dr7 = (vmcb64(S.VMCB_DR7) & DR7_BITS) | DR7_FIXED;
  cpu.rip = vmcb64(S.VMCB_RIP);
  cpu.rsp = vmcb64(S.VMCB_RSP);
  cpu.rax = vmcb64(S.VMCB_RAX);
  if (svm.nested != 0) cpu.pat = vmcb64(S.VMCB_G_PAT);
  applyMode();
  cpu.debugPending = 0;
  cpu.shadow = (vmcb64(S.VMCB_INTERRUPT_SHADOW) & 1) != 0 ? 1 : 0;
  cpu.activity = ACTIVITY_ACTIVE;
  cpu.monitorArmed = 0;
  writeFlags(vmcb64(S.VMCB_RFLAGS));
  refresh();
}
