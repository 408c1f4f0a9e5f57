// Which address spaces of the TLB are whose guest's: the last few guests that had a VPID or an ASID keep theirs.
// The manual leaves the organisation open (SDM vol. 3, "Caching Translation Information"; APM vol. 2, "Address Space
// Identifiers (ASID)"); ours keeps one address space for each identifier, with everything that decided what is in it.

import { VIRTUALIZATION_BASE, cpu } from "./layout.generated";
import { newTlbSpace, setTlbSpace, translationModes } from "./tlb";

@unmanaged
class GuestTag {
  /** VPID or ASID, 0 for a free tag. */
  identifier: u32;
  reserved: u32;
  /** EPT pointer, or nested CR3. */
  root: u64;
  /** The page that stands for the local APIC's registers, 0 for none. */
  apicPage: u64;
  cr3: u64;
  modes: u64;
  wraps: u64;
  space: u64;
}

/** Tags lie behind the record of what is known of each VMCS slot (vmx-state.ts). */
const TAGS: usize = VIRTUALIZATION_BASE + 0x540;
const TAG_COUNT: u32 = 4;

// @ts-ignore: decorator
@inline
function tag(number: u32): GuestTag {
  return changetype<GuestTag>(TAGS + number * offsetof<GuestTag>());
}

/** The number of an identifier's tag, or TAG_COUNT. */
function tagOfGuest(identifier: u32): u32 {
  let number: u32 = 0;
  while (number < TAG_COUNT && tag(number).identifier != identifier) number++;
  return number;
}

/** Chooses the translations of the guest whose state is loaded: those it had, or none. Identifier 0 has none. */
export function enterGuestSpace(identifier: u32, root: u64, apicPage: u64): void {
  const number = identifier == 0 ? TAG_COUNT : tagOfGuest(identifier);
  if (number < TAG_COUNT) {
    const known = tag(number);
    const same =
      known.root == root &&
      known.apicPage == apicPage &&
      known.cr3 == cpu.cr3 &&
      known.modes == translationModes() &&
      known.wraps == cpu.tlbWraps;
    if (same) {
      setTlbSpace(known.space);
      return;
    }
  }
  setTlbSpace(newTlbSpace());
}

/** Remembers the translations of the guest that is about to leave. The last guests stand first. */
export function leaveGuestSpace(identifier: u32, root: u64, apicPage: u64): void {
  if (identifier == 0) return;
  const found = min<u32>(tagOfGuest(identifier), TAG_COUNT - 1);
  if (found != 0) memory.copy(TAGS + offsetof<GuestTag>(), TAGS, found * offsetof<GuestTag>());
  const first = tag(0);
  first.identifier = identifier;
  first.root = root;
  first.apicPage = apicPage;
  first.cr3 = cpu.cr3;
  first.modes = translationModes();
  first.wraps = cpu.tlbWraps;
  first.space = cpu.tlbContext;
}

/** INVVPID, INVEPT, INVLPGA and everything else that drops guests' translations: no tag is used again. */
export function forgetGuestSpaces(): void {
  for (let number: u32 = 0; number < TAG_COUNT; number++) tag(number).identifier = 0;
}
