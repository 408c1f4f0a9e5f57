// #VMEXIT: recording what caused it, saving the guest, loading the host.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "#VMEXIT".

import { FEATURE_DECODE_ASSISTS, FEATURE_NRIPS } from "./decode-table.generated";
import {
  ATTENTION_VIRTUALIZATION, EVENT_EXIT, EVENT_REJECT, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_SS, TYPE_EXTERNAL,
  TYPE_NMI, TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import { appendEvent } from "./events";
import { ACCESS_FETCH, ACCESS_PROBE, ACCESS_USER, translate } from "./paging";
import { physicalRead } from "./physical";
import { rememberCutTrap } from "./debug";
import { NO_ADDRESS, hasFeature, linearOf, readFlags, segment, updateAttention } from "./state";
import * as S from "./svm-facts.generated";
import { loadHostBranches, loadHostState, storeBranches } from "./svm-host-state";
import { setVmcb64, svm, virtualBranches, vmcb64 } from "./svm-state";
import { leaveGuestAsid, returnToHostAsid } from "./svm-tlb";
import { pendExit } from "./virtualization";

const VALID: u64 = 0x80000000;
const HAS_ERROR_CODE: u64 = 0x800;
const TYPE_EXCEPTION: u64 = 3;
const INSTRUCTION_LIMIT: u32 = 15;

/** Ends the instruction in progress in a #VMEXIT. Always true, as hooks answer. */
export function exitSvm(code: u64, cause: u32, info1: u64 = 0, info2: u64 = 0): bool {
  svm.exitCode = code;
  svm.cause = cause;
  svm.exitInfo1 = info1;
  svm.exitInfo2 = info2;
  svm.nextRip = 0;
  svm.afterInstruction = 0;
  pendExit();
  return true;
}

/** The same for an instruction that an intercept bit selects: it knows the next RIP, which is RIP now. */
export function exitForInstruction(code: u64, intercept: u32, info1: u64 = 0, info2: u64 = 0): bool {
  exitSvm(code, S.SVM_CAUSE_BASE + intercept, info1, info2);
  svm.nextRip = cpu.rip;
  return true;
}

/** Performs the described #VMEXIT. True when the host program owns host mode. */
export function performSvmExit(): bool {
  recordEvent(EVENT_EXIT);
  const software = cpu.delivering != 0 && cpu.deliveringType == TYPE_SOFTWARE_INTERRUPT;
  saveGuest(software ? cpu.instructionRip : cpu.rip);
  setVmcb64(S.VMCB_EXITCODE, svm.exitCode);
  setVmcb64(S.VMCB_EXITINFO1, svm.exitInfo1);
  setVmcb64(S.VMCB_EXITINFO2, svm.exitInfo2);
  setVmcb64(S.VMCB_EXITINTINFO, eventInDelivery());
  // What was injected is: the field loses its valid bit.
  setVmcb64(S.VMCB_EVENTINJ, vmcb64(S.VMCB_EVENTINJ) & ~VALID);
  if (hasFeature(FEATURE_NRIPS)) setVmcb64(S.VMCB_NRIP, svm.nextRip);
  if (hasFeature(FEATURE_DECODE_ASSISTS)) saveInstructionBytes();
  return enterHost();
}

/**
 * Takes the guest out of the processor between two instructions, as an exit that nobody asked for: a host program that
 * wants to change what only the VMCB holds. An event that VMRUN was to inject stays there for the next one.
 */
export function suspendSvmGuest(): void {
  saveGuest(cpu.rip);
  if (svm.injectionPending == 0) setVmcb64(S.VMCB_EVENTINJ, 0);
  enterHost();
}

/** VMEXIT_INVALID: nothing of the guest was loaded, so nothing but the exit code is written. */
export function performSvmReject(rule: u32): bool {
  svm.exitCode = S.VMEXIT_INVALID;
  svm.cause = rule;
  svm.exitInfo1 = 0;
  svm.exitInfo2 = 0;
  recordEvent(EVENT_REJECT);
  setVmcb64(S.VMCB_EXITCODE, S.VMEXIT_INVALID);
  setVmcb64(S.VMCB_EXITINFO1, 0);
  setVmcb64(S.VMCB_EXITINFO2, 0);
  setVmcb64(S.VMCB_EXITINTINFO, 0);
  return enterHost();
}

function recordEvent(kind: u32): void {
  const event = appendEvent(kind, svm.afterInstruction != 0 ? cpu.rip : cpu.instructionRip);
  event.code = <u16>svm.exitCode;
  event.rule = svm.cause;
  event.a = svm.exitInfo1;
  event.b = svm.exitInfo2;
  event.c = svm.exitCode == S.VMEXIT_MSR ? cpu.rcx : eventInDelivery();
  event.d = svm.exitCode;
}

/** "EXITINTINFO": the event whose delivery the exit cut short. Software exceptions count as exceptions. */
function eventInDelivery(): u64 {
  if (cpu.delivering == 0) return 0;
  const type = cpu.deliveringType;
  const plain = type == TYPE_EXTERNAL || type == TYPE_NMI || type == TYPE_SOFTWARE_INTERRUPT;
  let info = VALID | cpu.deliveringVector | ((plain ? <u64>type : TYPE_EXCEPTION) << 8);
  if (cpu.deliveringHasError != 0) info |= HAS_ERROR_CODE | (<u64>cpu.deliveringError << 32);
  return info;
}

function saveSegment(number: u32, offset: u32): void {
  const it = segment(number);
  const at = svm.region + offset;
  store<u16>(at, <u16>it.selector);
  store<u16>(at, <u16>attributesOf(it.rights), 2);
  store<u32>(at, it.limit, 4);
  store<u64>(at, it.base, 8);
}

/** Descriptor bits 47:40 and 55:52 side by side; an unusable register has P = 0. */
export function attributesOf(rights: u32): u32 {
  const usable = (rights & 0x10000) == 0;
  const attributes = (rights & 0xff) | ((rights >> 4) & 0xf00);
  return usable ? attributes : attributes & ~0x80;
}

/** What #VMEXIT saves by itself; VMSAVE saves the rest. */
function saveGuest(rip: u64): void {
  saveSegment(SEGMENT_ES, S.VMCB_ES_SELECTOR);
  saveSegment(SEGMENT_CS, S.VMCB_CS_SELECTOR);
  saveSegment(SEGMENT_SS, S.VMCB_SS_SELECTOR);
  saveSegment(SEGMENT_DS, S.VMCB_DS_SELECTOR);
  setVmcb64(S.VMCB_GDTR_BASE, cpu.gdtrBase);
  store<u32>(svm.region + S.VMCB_GDTR_LIMIT, cpu.gdtrLimit);
  setVmcb64(S.VMCB_IDTR_BASE, cpu.idtrBase);
  store<u32>(svm.region + S.VMCB_IDTR_LIMIT, cpu.idtrLimit);
  store<u8>(svm.region + S.VMCB_CPL, <u8>cpu.cpl);
  setVmcb64(S.VMCB_EFER, cpu.efer);
  setVmcb64(S.VMCB_CR0, cpu.cr0);
  setVmcb64(S.VMCB_CR2, cpu.cr2);
  setVmcb64(S.VMCB_CR3, cpu.cr3);
  setVmcb64(S.VMCB_CR4, cpu.cr4);
  setVmcb64(S.VMCB_DR6, cpu.dr6);
  setVmcb64(S.VMCB_DR7, cpu.dr7);
  setVmcb64(S.VMCB_RFLAGS, readFlags());
  setVmcb64(S.VMCB_RIP, rip);
  setVmcb64(S.VMCB_RSP, cpu.rsp);
  setVmcb64(S.VMCB_RAX, cpu.rax);
  if (svm.nested != 0) setVmcb64(S.VMCB_G_PAT, cpu.pat);
  if (virtualBranches()) {
    storeBranches(svm.region);
    loadHostBranches();
  }
  setVmcb64(S.VMCB_INTERRUPT_SHADOW, cpu.shadow != 0 && cpu.delivering == 0 ? 1 : 0);
}

/**
 * "Guest Instruction Bytes": of an instruction whose access to data is a page fault or a nested one, as far as they can
 * be read; their number is 0 on every other exit.
 */
function saveInstructionBytes(): void {
  const at = svm.region + S.VMCB_GUEST_INST_LENGTH;
  store<u8>(at, 0);
  if (svm.exitCode != S.VMEXIT_EXCP14 && svm.exitCode != S.VMEXIT_NPF) return;
  // A fetch that failed leaves no instruction.
  if (cpu.instructionLength == 0) return;
  const access = ACCESS_FETCH | ACCESS_PROBE | (cpu.cpl == 3 ? ACCESS_USER : 0);
  let count: u32 = 0;
  let page = NO_ADDRESS;
  for (; count < INSTRUCTION_LIMIT; count++) {
    const rip = cpu.instructionRip + count;
    if (rip >= cpu.codeEnd) break;
    const linear = linearOf(SEGMENT_CS, rip);
    if (page == NO_ADDRESS || (linear & 0xfff) == 0) {
      page = translate(linear & ~0xfff, access);
      if (page == NO_ADDRESS) break;
    }
    store<u8>(at + 1 + count, <u8>physicalRead(page | (linear & 0xfff), 1));
  }
  store<u8>(at, <u8>count);
}

/** Back to host mode; GIF is 0 until the host sets it. */
function enterHost(): bool {
  rememberCutTrap();
  cpu.delivering = 0;
  cpu.external = 0;
  leaveGuestAsid();
  cpu.guestMode = 0;
  cpu.nestedPaging = 0;
  cpu.context = 0;
  cpu.gif = 0;
  svm.injectionPending = 0;
  cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  loadHostState();
  returnToHostAsid();
  updateAttention();
  return cpu.hostOwned != 0;
}
