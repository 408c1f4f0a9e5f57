// Which cached translations hold after a VM entry and after a VM exit.
// Intel SDM vol. 3, chapter "VMX Support for Address Translation", "Caching Translation Information".
//
// Without VPID every transition forgets all translations. With VPID those of the guest and those of the host stay,
// each under its own tag, as long as nothing they depend on was changed behind the processor's back. Pages with a data
// breakpoint must not be in the TLB, so a guest that runs with breakpoints starts with none.

import { enterGuestSpace, leaveGuestSpace } from "./guest-tags";
import { cpu } from "./layout.generated";
import { hasBreakpoints, newTlbSpace, setTlbSpace, translationModes } from "./tlb";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { read32, vmx } from "./vmx-state";

function vpidOfGuest(): u32 {
  return (vmx.secondary & X.ENABLE_VPID) != 0 ? read32(F.VIRTUAL_PROCESSOR_IDENTIFIER) & 0xffff : 0;
}

/** Before anything of the guest is loaded or refused: remembers the host's translations. */
export function leaveHostTlb(): void {
  vmx.hostTag = cpu.tlbContext;
  vmx.hostTagWraps = cpu.tlbWraps;
  vmx.hostTagCr3 = cpu.cr3;
  vmx.hostTagModes = translationModes();
  vmx.hostTagValid = vpidOfGuest() != 0 ? 1 : 0;
}

/** After the guest state is loaded. */
export function switchToGuestTlb(): void {
  enterGuestSpace(hasBreakpoints() ? 0 : vpidOfGuest(), vmx.eptp, vmx.apicPage);
}

/** Before the guest state is saved: remembers the guest's translations, if it has a VPID. */
export function leaveGuestTlb(): void {
  leaveGuestSpace(vpidOfGuest(), vmx.eptp, vmx.apicPage);
}

/** After the host state is loaded. */
export function switchToHostTlb(): void {
  const same =
    vmx.hostTagValid != 0 &&
    cpu.cr3 == vmx.hostTagCr3 &&
    translationModes() == vmx.hostTagModes &&
    vmx.hostTagWraps == cpu.tlbWraps;
  setTlbSpace(same ? vmx.hostTag : newTlbSpace());
}
