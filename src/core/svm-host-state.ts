// The host state that VMRUN saves in the area of VM_HSAVE_PA and #VMEXIT loads again.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "VMRUN Instruction", "#VMEXIT". What lies where in the area is the
// implementation's matter: ours has the VMCB's layout, hidden parts of segments included.

import {
  ACTIVITY_ACTIVE, ACTIVITY_SHUTDOWN, EVENT_SHUTDOWN, PAGING_PAE, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_SS,
  STOP_SHUTDOWN, cpu,
} from "./layout.generated"; // prettier-ignore
import { DEBUG_STEP } from "./debug";
import { loadPdptes } from "./paging";
import { beforeWrite } from "./physical";
import { appendEvent } from "./events";
import { CR0_PE, RF, TF, VM, readFlags, refresh, segment, updateAttention, writeFlags } from "./state";
import * as S from "./svm-facts.generated";
import { svm, svmPage } from "./svm-state";

/** LBR, BTF and the performance monitoring pins. */
const DEBUGCTL_BITS: u64 = 0x3f;

function put(area: u32, offset: u32, value: u64): void {
  store<u64>(area + offset, value);
}

function take(area: u32, offset: u32): u64 {
  return load<u64>(area + offset);
}

/** Selector, limit and rights share the first eight bytes, the selector cut to 16 bits, the rights to 17. */
function putSegment(area: u32, offset: u32, number: u32): void {
  const it = segment(number);
  store<u32>(area + offset, it.selector);
  store<u32>(area + offset, it.limit, 4);
  store<u64>(area + offset, it.base, 8);
  // Rights lie in the control area's reserved bytes, which nothing else uses here.
  store<u32>(area + (number << 2), it.rights);
}

function takeSegment(area: u32, offset: u32, number: u32): void {
  const it = segment(number);
  it.selector = load<u32>(area + offset);
  it.limit = load<u32>(area + offset, 4);
  it.base = load<u64>(area + offset, 8);
  it.rights = load<u32>(area + (number << 2));
}

/** `rip` is the address of the instruction after VMRUN, which ends RF as every instruction does. */
export function saveHostState(rip: u64): void {
  const area = svmPage(cpu.vmHsavePa);
  if (area == 0) return;
  beforeWrite(cpu.vmHsavePa, 0x1000);
  putSegment(area, S.VMCB_ES_SELECTOR, SEGMENT_ES);
  putSegment(area, S.VMCB_CS_SELECTOR, SEGMENT_CS);
  putSegment(area, S.VMCB_SS_SELECTOR, SEGMENT_SS);
  putSegment(area, S.VMCB_DS_SELECTOR, SEGMENT_DS);
  put(area, S.VMCB_GDTR_BASE, cpu.gdtrBase);
  put(area, S.VMCB_GDTR_SELECTOR, cpu.gdtrLimit);
  put(area, S.VMCB_IDTR_BASE, cpu.idtrBase);
  put(area, S.VMCB_IDTR_SELECTOR, cpu.idtrLimit);
  put(area, S.VMCB_EFER, cpu.efer);
  put(area, S.VMCB_CR0, cpu.cr0);
  put(area, S.VMCB_CR3, cpu.cr3);
  put(area, S.VMCB_CR4, cpu.cr4);
  put(area, S.VMCB_RFLAGS, readFlags() & ~RF);
  put(area, S.VMCB_RIP, rip);
  put(area, S.VMCB_RSP, cpu.rsp);
  put(area, S.VMCB_RAX, cpu.rax);
  put(area, S.VMCB_G_PAT, cpu.pat);
}

/** "Last Branch Record Virtualization": five registers that a VMCB switches where it asks for it, here the host's. */
export function saveHostBranches(): void {
  const area = svmPage(cpu.vmHsavePa);
  if (area != 0) storeBranches(area);
}

export function loadHostBranches(): void {
  const area = svmPage(cpu.vmHsavePa);
  if (area != 0) loadBranches(area);
}

/**
 * To a VMCB, or to the host save area, which has its layout. Secondary: the order of the five fields is that of the
 * Linux kernel's svm.h; what LASTEXCPFROM and LASTEXCPTO record follows the manual's names for them.
 */
export function storeBranches(area: u32): void {
  put(area, S.VMCB_DBGCTL, cpu.debugctl);
  put(area, S.VMCB_BR_FROM, cpu.branchFrom);
  put(area, S.VMCB_BR_TO, cpu.branchTo);
  put(area, S.VMCB_LASTEXCPFROM, cpu.exceptionFrom);
  put(area, S.VMCB_LASTEXCPTO, cpu.exceptionTo);
}

export function loadBranches(area: u32): void {
  cpu.debugctl = take(area, S.VMCB_DBGCTL) & DEBUGCTL_BITS;
  cpu.branchFrom = take(area, S.VMCB_BR_FROM);
  cpu.branchTo = take(area, S.VMCB_BR_TO);
  cpu.exceptionFrom = take(area, S.VMCB_LASTEXCPFROM);
  cpu.exceptionTo = take(area, S.VMCB_LASTEXCPTO);
}

/** Loads the host state. Invalid PDPTEs of a PAE host shut the processor down. */
export function loadHostState(): void {
  const area = svmPage(cpu.vmHsavePa);
  if (area == 0) {
    shutDown();
    return;
  }
  takeSegment(area, S.VMCB_ES_SELECTOR, SEGMENT_ES);
  takeSegment(area, S.VMCB_CS_SELECTOR, SEGMENT_CS);
  takeSegment(area, S.VMCB_SS_SELECTOR, SEGMENT_SS);
  takeSegment(area, S.VMCB_DS_SELECTOR, SEGMENT_DS);
  cpu.gdtrBase = take(area, S.VMCB_GDTR_BASE);
  cpu.gdtrLimit = <u32>take(area, S.VMCB_GDTR_SELECTOR);
  cpu.idtrBase = take(area, S.VMCB_IDTR_BASE);
  cpu.idtrLimit = <u32>take(area, S.VMCB_IDTR_SELECTOR);
  cpu.efer = take(area, S.VMCB_EFER);
  cpu.cr0 = take(area, S.VMCB_CR0) | CR0_PE;
  cpu.cr3 = take(area, S.VMCB_CR3);
  cpu.cr4 = take(area, S.VMCB_CR4);
  cpu.rip = take(area, S.VMCB_RIP);
  cpu.rsp = take(area, S.VMCB_RSP);
  cpu.rax = take(area, S.VMCB_RAX);
  if (svm.nested != 0) cpu.pat = take(area, S.VMCB_G_PAT);
  const flags = take(area, S.VMCB_RFLAGS) & ~VM;
  // A VMRUN that is single-stepped is complete only now.
  cpu.debugPending = (flags & TF) != 0 ? DEBUG_STEP : 0;
  writeFlags(flags);
  cpu.dr7 = 0x400;
  cpu.cpl = 0;
  cpu.shadow = 0;
  cpu.activity = ACTIVITY_ACTIVE;
  cpu.monitorArmed = 0;
  refresh();
  if (cpu.pagingMode == PAGING_PAE && !loadPdptes(cpu.cr3)) shutDown();
}

/** The host state is not consistent. */
function shutDown(): void {
  cpu.activity = ACTIVITY_SHUTDOWN;
  updateAttention();
  appendEvent(EVENT_SHUTDOWN, cpu.rip);
  cpu.stopKind = STOP_SHUTDOWN;
}
