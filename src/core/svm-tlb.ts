// Address-space identifiers: which cached translations hold in a guest and in the host.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "TLB Control", "Address Space Identifiers (ASID)".
//
// The TLB keeps the last guest's translations beside the host's; entering another ASID starts with none.

import { cpu } from "./layout.generated";
import { newTlbSpace, setTlbSpace } from "./tlb";
import * as S from "./svm-facts.generated";
import { svm, vmcb32, vmcb64 } from "./svm-state";

const TLB_CONTROL: u32 = 0xff;

/** Before the guest state is loaded. */
export function leaveHostAsid(): void {
  svm.hostTag = cpu.tlbContext;
  svm.hostTagWraps = cpu.tlbWraps;
  svm.hostTagCr3 = cpu.cr3 ^ (cpu.cr4 << 20) ^ (cpu.efer << 40);
  svm.hostTagValid = 1;
}

/** After the guest state is loaded. TLB_CONTROL other than 0 forgets the guest's translations. */
export function enterGuestAsid(): void {
  const asid = vmcb32(S.VMCB_GUEST_ASID);
  const flush = (vmcb32(S.VMCB_TLB_CONTROL) & TLB_CONTROL) != 0;
  const key = guestKey();
  const same = !flush && asid == svm.guestTagAsid && key == svm.guestTagCr3 && svm.guestTagWraps == cpu.tlbWraps;
  setTlbSpace(same ? svm.guestTag : newTlbSpace());
}

export function leaveGuestAsid(): void {
  svm.guestTagAsid = vmcb32(S.VMCB_GUEST_ASID);
  svm.guestTag = cpu.tlbContext;
  svm.guestTagWraps = cpu.tlbWraps;
  svm.guestTagCr3 = guestKey();
}

export function returnToHostAsid(): void {
  const key = cpu.cr3 ^ (cpu.cr4 << 20) ^ (cpu.efer << 40);
  const same = svm.hostTagValid != 0 && key == svm.hostTagCr3 && svm.hostTagWraps == cpu.tlbWraps;
  setTlbSpace(same ? svm.hostTag : newTlbSpace());
}

/** INVLPGA and whatever drops a guest's translations. */
export function forgetGuestAsid(): void {
  svm.guestTagAsid = 0;
}

/** What the guest's translations depend on besides memory. */
function guestKey(): u64 {
  return cpu.cr3 ^ (cpu.cr0 << 8) ^ (cpu.cr4 << 20) ^ (cpu.efer << 40) ^ vmcb64(S.VMCB_N_CR3) ^ svm.nested;
}
