// The instructions of SVM. AMD APM vol. 3, chapter "System Instruction Reference"; vol. 2, chapter "Secure Virtual
// Machine", "Enabling SVM", "VMSAVE and VMLOAD Instructions", "Global Interrupt Flag, STGI and CLGI Instructions".

import {
  AFTER_REPLACED, ATTENTION_VIRTUALIZATION, MicroOp, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_TR, cpu,
} from "./layout.generated"; // prettier-ignore
import {
  EXEC_CLGI, EXEC_INVLPGA, EXEC_SKINIT, EXEC_STGI, EXEC_VMLOAD, EXEC_VMMCALL, EXEC_VMRUN, EXEC_VMSAVE,
  FEATURE_SKINIT, FEATURE_V_VMSAVE_VMLOAD,
} from "./decode-table.generated"; // prettier-ignore
import { raiseProtection, raiseUndefined, stopUnsupported } from "./faults";
import { ACCESS_READ, ACCESS_WRITE } from "./paging";
import {
  ABORT, EFER_SVME, END, NEXT, NO_ADDRESS, canonical, code64, hasFeature, segment, updateAttention,
  updateCodeKey,
} from "./state"; // prettier-ignore
import { flushTlbPage } from "./tlb";
import { attributesOf, exitForInstruction } from "./svm-exit";
import * as S from "./svm-facts.generated";
import { loadVmcbSegment, runGuest } from "./svm-run";
import { translateNested } from "./svm-nested-paging";
import {
  V_GIF, V_IRQ, intercepted, setVmcb64, vintr, virtualGif, vmcb64, vmcbRegion,
} from "./svm-state"; // prettier-ignore

/** Bit of the VMCB's VIRT_EXT: virtualized VMLOAD and VMSAVE. */
const VIRTUAL_VMLOAD: u64 = 2;

/** An instruction of SVM by execute number, with its faults in the manual's order. */
export function executeSvm(op: MicroOp, execute: u32): u32 {
  // Step 1: SVM must be enabled; VMMCALL asks only for its intercept. In real mode the decoder knows no other.
  if (execute == EXEC_VMMCALL) return vmmcall();
  if (execute == EXEC_SKINIT) return secureInit();
  if ((cpu.efer & EFER_SVME) == 0) return raiseUndefined(S.RULE_SVM_ENABLED);
  // Step 2: CPL.
  if (cpu.cpl != 0) return raiseProtection(S.RULE_SVM_CPL);
  // Step 3: the address in rAX, then the intercept.
  if (execute == EXEC_VMRUN || execute == EXEC_VMLOAD || execute == EXEC_VMSAVE) {
    if (!validVmcb(vmcbOperand())) return raiseProtection(S.RULE_VMCB_ADDRESS);
  }
  if (execute == EXEC_VMRUN && cpu.vmHsavePa == 0) return raiseProtection(S.RULE_VMRUN_HOST_SAVE);
  if (cpu.guestMode != 0) {
    if (interceptedInstruction(execute)) return ABORT;
    if ((execute == EXEC_STGI || execute == EXEC_CLGI) && virtualGif()) return setVirtualGif(execute == EXEC_STGI);
    if ((execute == EXEC_VMLOAD || execute == EXEC_VMSAVE) && virtualizesVmload()) {
      return virtualVmloadOrVmsave(execute == EXEC_VMSAVE);
    }
  }
  if (execute == EXEC_VMRUN) {
    runGuest(vmcbOperand(), cpu.rip);
    cpu.afterWrite |= AFTER_REPLACED;
    return END;
  }
  if (execute == EXEC_VMLOAD) {
    vmloadFrom(vmcbOperand());
    return END;
  }
  if (execute == EXEC_VMSAVE) {
    vmsaveTo(vmcbOperand());
    return NEXT;
  }
  if (execute == EXEC_STGI) return setGif(1);
  if (execute == EXEC_CLGI) return setGif(0);
  if (execute == EXEC_INVLPGA) return invlpga();
  return raiseUndefined();
}

/**
 * SKINIT is there where SVM is enabled, and else where the processor has it as a feature (AMD APM vol. 2, "Enabling
 * SVM"). What it would do is not carried out: no model reports it.
 */
function secureInit(): u32 {
  if ((cpu.efer & EFER_SVME) == 0 && !hasFeature(FEATURE_SKINIT)) return raiseUndefined(S.RULE_SKINIT_SUPPORTED);
  if (cpu.cpl != 0) return raiseProtection(S.RULE_SVM_CPL);
  if (cpu.guestMode != 0 && exitIf(S.INTERCEPT_SKINIT, S.VMEXIT_SKINIT)) return ABORT;
  return stopUnsupported(EXEC_SKINIT);
}

function interceptedInstruction(execute: u32): bool {
  if (execute == EXEC_VMRUN) return exitIf(S.INTERCEPT_VMRUN, S.VMEXIT_VMRUN);
  if (execute == EXEC_VMLOAD) return exitIf(S.INTERCEPT_VMLOAD, S.VMEXIT_VMLOAD);
  if (execute == EXEC_VMSAVE) return exitIf(S.INTERCEPT_VMSAVE, S.VMEXIT_VMSAVE);
  if (execute == EXEC_STGI) return exitIf(S.INTERCEPT_STGI, S.VMEXIT_STGI);
  if (execute == EXEC_CLGI) return exitIf(S.INTERCEPT_CLGI, S.VMEXIT_CLGI);
  if (execute == EXEC_INVLPGA) return exitIf(S.INTERCEPT_INVLPGA, S.VMEXIT_INVLPGA);
  return false;
}

function exitIf(intercept: u32, code: u64): bool {
  return intercepted(intercept) && exitForInstruction(code, intercept);
}

/** rAX by the address size; outside 64-bit mode EAX. */
function vmcbOperand(): u64 {
  return code64() ? cpu.rax : cpu.rax & 0xffffffff;
}

function validVmcb(address: u64): bool {
  return (address & 0xfff) == 0 && address >> cpu.physicalAddressBits == 0;
}

function vmmcall(): u32 {
  if (cpu.guestMode != 0 && exitIf(S.INTERCEPT_VMMCALL, S.VMEXIT_VMMCALL)) return ABORT;
  return raiseUndefined(S.RULE_VMMCALL_INTERCEPTED);
}

function setGif(value: u32): u32 {
  cpu.gif = value;
  updateAttention();
  return END;
}

/** "Virtual GIF": the guest's own GIF holds back its virtual interrupts. */
function setVirtualGif(value: bool): u32 {
  const field = vmcb64(S.VMCB_VINTR);
  setVmcb64(S.VMCB_VINTR, value ? field | V_GIF : field & ~V_GIF);
  if (value && vintr(V_IRQ)) cpu.attention |= ATTENTION_VIRTUALIZATION;
  return END;
}

/** "Virtualized VMLOAD and VMSAVE": on nested paging, where the VMCB asks for it. */
function virtualizesVmload(): bool {
  if (!hasFeature(FEATURE_V_VMSAVE_VMLOAD) || cpu.nestedPaging == 0) return false;
  return (vmcb64(S.VMCB_VIRT_EXT) & VIRTUAL_VMLOAD) != 0;
}

/** The operand is a guest-physical address. */
function virtualVmloadOrVmsave(saves: bool): u32 {
  const address = translateNested(vmcbOperand(), saves ? ACCESS_WRITE : ACCESS_READ, false);
  if (address == NO_ADDRESS) return ABORT;
  if (saves) vmsaveTo(address);
  else vmloadFrom(address);
  return END;
}

/** INVLPGA: the page of rAX in the ASID of ECX; ours drops it in all. */
function invlpga(): u32 {
  flushTlbPage(vmcbOperand(), true);
  return END;
}

/** Loads from a VMCB what VMRUN does not. */
export function vmloadFrom(address: u64): void {
  const region = vmcbRegion(address);
  loadVmcbSegment(SEGMENT_FS, region, S.VMCB_FS_SELECTOR);
  loadVmcbSegment(SEGMENT_GS, region, S.VMCB_GS_SELECTOR);
  loadVmcbSegment(SEGMENT_LDTR, region, S.VMCB_LDTR_SELECTOR);
  loadVmcbSegment(SEGMENT_TR, region, S.VMCB_TR_SELECTOR);
  cpu.kernelGsBase = canonical(load<u64>(region + S.VMCB_KERNEL_GS_BASE));
  cpu.star = load<u64>(region + S.VMCB_STAR);
  cpu.lstar = load<u64>(region + S.VMCB_LSTAR);
  cpu.cstar = load<u64>(region + S.VMCB_CSTAR);
  cpu.sfmask = load<u64>(region + S.VMCB_SFMASK);
  cpu.sysenterCs = load<u64>(region + S.VMCB_SYSENTER_CS);
  cpu.sysenterEsp = load<u64>(region + S.VMCB_SYSENTER_ESP);
  cpu.sysenterEip = load<u64>(region + S.VMCB_SYSENTER_EIP);
  updateCodeKey();
}

function storeSegment(number: u32, at: u32): void {
  const it = segment(number);
  store<u16>(at, <u16>it.selector);
  store<u16>(at, <u16>attributesOf(it.rights), 2);
  store<u32>(at, it.limit, 4);
  store<u64>(at, it.base, 8);
}

/** Saves to a VMCB what #VMEXIT does not. */
export function vmsaveTo(address: u64): void {
  const region = vmcbRegion(address);
  storeSegment(SEGMENT_FS, region + S.VMCB_FS_SELECTOR);
  storeSegment(SEGMENT_GS, region + S.VMCB_GS_SELECTOR);
  storeSegment(SEGMENT_LDTR, region + S.VMCB_LDTR_SELECTOR);
  storeSegment(SEGMENT_TR, region + S.VMCB_TR_SELECTOR);
  store<u64>(region + S.VMCB_KERNEL_GS_BASE, cpu.kernelGsBase);
  store<u64>(region + S.VMCB_STAR, cpu.star);
  store<u64>(region + S.VMCB_LSTAR, cpu.lstar);
  store<u64>(region + S.VMCB_CSTAR, cpu.cstar);
  store<u64>(region + S.VMCB_SFMASK, cpu.sfmask);
  store<u64>(region + S.VMCB_SYSENTER_CS, cpu.sysenterCs);
  store<u64>(region + S.VMCB_SYSENTER_ESP, cpu.sysenterEsp);
  store<u64>(region + S.VMCB_SYSENTER_EIP, cpu.sysenterEip);
}
