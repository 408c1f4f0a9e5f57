// Address-space identifiers: which cached translations hold in a guest and in the host.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "TLB Control", "Address Space Identifiers (ASID)".
//
// The TLB keeps the last guests' translations beside the host's (guest-tags.ts). Pages with a
// data breakpoint must not be in the TLB, so a guest that enters with breakpoints starts with none too.

import { enterGuestSpace, forgetGuestSpaces, leaveGuestSpace } from "./guest-tags";
import { cpu } from "./layout.generated";
import { hasBreakpoints, newTlbSpace, setTlbSpace, translationModes } from "./tlb";
import * as S from "./svm-facts.generated";
import { svm, vmcb32 } from "./svm-state";

const TLB_CONTROL: u32 = 0xff;
const FLUSH_ALL: u32 = 1;

/** Before the guest state is loaded. */
export function leaveHostAsid(): void {
  svm.hostTag = cpu.tlbContext;
  svm.hostTagWraps = cpu.tlbWraps;
  svm.hostTagCr3 = cpu.cr3;
  svm.hostTagModes = translationModes();
  svm.hostTagValid = 1;
}

/** After the guest state is loaded. TLB_CONTROL 1 forgets all translations, any other value than 0 the guest's. */
export function enterGuestAsid(): void {
  const control = vmcb32(S.VMCB_TLB_CONTROL) & TLB_CONTROL;
  if (control == FLUSH_ALL) {
    forgetGuestSpaces();
    svm.hostTagValid = 0;
  }
  const startsEmpty = control != 0 || hasBreakpoints();
  enterGuestSpace(startsEmpty ? 0 : vmcb32(S.VMCB_GUEST_ASID), nestedRoot(), 0);
}

export function leaveGuestAsid(): void {
  leaveGuestSpace(vmcb32(S.VMCB_GUEST_ASID), nestedRoot(), 0);
}

/** The nested tables of the guest, 0 for none. */
function nestedRoot(): u64 {
  return svm.nested != 0 ? svm.nestedCr3 | 1 : 0;
}

export function returnToHostAsid(): void {
  const same =
    svm.hostTagValid != 0 &&
    cpu.cr3 == svm.hostTagCr3 &&
    translationModes() == svm.hostTagModes &&
    svm.hostTagWraps == cpu.tlbWraps;
  setTlbSpace(same ? svm.hostTag : newTlbSpace());
}
