// Loading the host state on VM exit.
// Intel SDM vol. 3, chapter "VM Exits", "Loading Host State".

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import {
  ACTIVITY_ACTIVE, PAGING_PAE, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_SS,
  SEGMENT_TR, cpu,
} from "./layout.generated"; // prettier-ignore
import { CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, hasFeature, refresh, writeFlags } from "./state";
import { loadPdptes } from "./paging";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { CR0_KEPT, setHostSegment, setUnusable } from "./vmx-guest-state";
import { read, read32, vmx } from "./vmx-state";

// Access rights that VM exit gives: present, S, accessed; G; L or D/B.
const CODE64: u32 = 0xa09b;
const CODE32: u32 = 0xc09b;
const DATA: u32 = 0xc093;
const BUSY_TSS: u32 = 0x8b;

/** "Loading Host State", all of it but the MSR area. False when the host's PDPTEs are not valid: VMX abort. */
export function loadHostState(): bool {
  const host64 = (vmx.exit & X.HOST_ADDRESS_SPACE_SIZE) != 0;
  loadRegisters(host64);
  loadSegments(host64);
  // "Loading Host RIP, RSP, RFLAGS, and SSP"
  cpu.rip = read(F.HOST_RIP);
  cpu.rsp = read(F.HOST_RSP);
  writeFlags(2);
  // "Updating Non-Register State"
  cpu.shadow = 0;
  cpu.activity = ACTIVITY_ACTIVE;
  cpu.monitorArmed = 0;
  refresh();
  return cpu.pagingMode != PAGING_PAE || loadPdptes(cpu.cr3);
}

/** "Loading Host Control Registers, Debug Registers, MSRs". */
function loadRegisters(host64: bool): void {
  cpu.cr0 = (cpu.cr0 & CR0_KEPT) | (read(F.HOST_CR0) & ~CR0_KEPT);
  cpu.cr3 = read(F.HOST_CR3);
  cpu.cr4 = read(F.HOST_CR4);
  if (host64) cpu.cr4 |= CR4_PAE;
  else cpu.cr4 &= ~CR4_PCIDE;
  cpu.dr7 = 0x400;
  cpu.debugctl = 0;
  cpu.sysenterCs = read32(F.HOST_IA32_SYSENTER_CS);
  cpu.sysenterEsp = read(F.HOST_IA32_SYSENTER_ESP);
  cpu.sysenterEip = read(F.HOST_IA32_SYSENTER_EIP);
  if (hasFeature(FEATURE_LONG_MODE)) {
    const mode = EFER_LMA | EFER_LME;
    cpu.efer = host64 ? cpu.efer | mode : cpu.efer & ~mode;
  }
  if ((vmx.exit & X.EXIT_LOAD_IA32_EFER) != 0) cpu.efer = read(F.HOST_IA32_EFER);
  if ((vmx.exit & X.EXIT_LOAD_IA32_PAT) != 0) cpu.pat = read(F.HOST_IA32_PAT);
}

function loadData(register: u32, selector: u32, base: u64): void {
  if (selector == 0) setUnusable(register, base);
  else setHostSegment(register, selector, base, u32.MAX_VALUE, DATA);
}

/** "Loading Host Segment and Descriptor-Table Registers". */
function loadSegments(host64: bool): void {
  setHostSegment(SEGMENT_CS, read32(F.HOST_CS_SELECTOR), 0, u32.MAX_VALUE, host64 ? CODE64 : CODE32);
  loadData(SEGMENT_SS, read32(F.HOST_SS_SELECTOR), 0);
  loadData(SEGMENT_DS, read32(F.HOST_DS_SELECTOR), 0);
  loadData(SEGMENT_ES, read32(F.HOST_ES_SELECTOR), 0);
  loadData(SEGMENT_FS, read32(F.HOST_FS_SELECTOR), read(F.HOST_FS_BASE));
  loadData(SEGMENT_GS, read32(F.HOST_GS_SELECTOR), read(F.HOST_GS_BASE));
  setHostSegment(SEGMENT_TR, read32(F.HOST_TR_SELECTOR), read(F.HOST_TR_BASE), 0x67, BUSY_TSS);
  setUnusable(SEGMENT_LDTR, 0);
  cpu.gdtrBase = read(F.HOST_GDTR_BASE);
  cpu.gdtrLimit = 0xffff;
  cpu.idtrBase = read(F.HOST_IDTR_BASE);
  cpu.idtrLimit = 0xffff;
  cpu.cpl = 0;
}
