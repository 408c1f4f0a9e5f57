// Address-space identifiers: which cached translations hold in a guest and in the host.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "TLB Control", "Address Space Identifiers (ASID)".
//
// The TLB keeps the last guest's translations beside the host's; entering another ASID starts with none. Pages with a
// data breakpoint must not be in the TLB, so a guest that enters with breakpoints starts with none too.

import { cpu } from "./layout.generated";
import { hasBreakpoints, newTlbSpace, setTlbSpace, translationModes } from "./tlb";
import * as S from "./svm-facts.generated";
import { svm, vmcb32 } from "./svm-state";

const TLB_CONTROL: u32 = 0xff;

/** Before the guest state is loaded. */
export function leaveHostAsid(): void {
  svm.hostTag = cpu.tlbContext;
  svm.hostTagWraps = cpu.tlbWraps;
  svm.hostTagCr3 = cpu.cr3;
  svm.hostTagModes = translationModes();
  svm.hostTagValid = 1;
}

/** After the guest state is loaded. TLB_CONTROL other than 0 forgets the guest's translations. */
export function enterGuestAsid(): void {
  const asid = vmcb32(S.VMCB_GUEST_ASID);
  const flush = (vmcb32(S.VMCB_TLB_CONTROL) & TLB_CONTROL) != 0 || hasBreakpoints();
  const same =
    !flush &&
    asid == svm.guestTagAsid &&
    cpu.cr3 == svm.guestTagCr3 &&
    translationModes() == svm.guestTagModes &&
    svm.nested == svm.guestTagNested &&
    svm.nestedCr3 == svm.guestTagNestedCr3 &&
    svm.guestTagWraps == cpu.tlbWraps;
  setTlbSpace(same ? svm.guestTag : newTlbSpace());
}

export function leaveGuestAsid(): void {
  svm.guestTagAsid = vmcb32(S.VMCB_GUEST_ASID);
  svm.guestTag = cpu.tlbContext;
  svm.guestTagWraps = cpu.tlbWraps;
  svm.guestTagCr3 = cpu.cr3;
  svm.guestTagModes = translationModes();
  svm.guestTagNested = svm.nested;
  svm.guestTagNestedCr3 = svm.nestedCr3;
}

export function returnToHostAsid(): void {
  const same =
    svm.hostTagValid != 0 &&
    cpu.cr3 == svm.hostTagCr3 &&
    translationModes() == svm.hostTagModes &&
    svm.hostTagWraps == cpu.tlbWraps;
  setTlbSpace(same ? svm.hostTag : newTlbSpace());
}

/** INVLPGA and whatever drops a guest's translations. */
export function forgetGuestAsid(): void {
  svm.guestTagAsid = 0;
}
