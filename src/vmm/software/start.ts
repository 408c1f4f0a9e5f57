// Starts a software VMM, or says why it cannot hold its guest.

import { cr0Bits, eferBits } from "../../isa/index.js";
import type { StartState } from "../../program/index.js";
import type { BundledVmm } from "../bundled.js";
import { ShadowTables } from "../hardware/shadow-paging.js";
import type { PageAllocator } from "../page-allocator.js";
import type { VmmChoice } from "../policy.js";
import type { SoftwareGuestParts } from "./shared/software-guest.js";
import { Window } from "./shared/window.js";
import { cachePages } from "./translation/code-cache.js";
import { TranslationVcpu } from "./translation/vcpu.js";
import { TrapAndEmulateVcpu } from "./trap-and-emulate/vcpu.js";

export interface SoftwareParts extends Omit<SoftwareGuestParts, "shadow" | "window"> {
  readonly pages: PageAllocator;
  readonly kind: VmmChoice["kind"];
}

/** Makes the VMM and puts its guest into the outer rings. */
export function startSoftware(parts: SoftwareParts): BundledVmm {
  const { processor, pages } = parts;
  const shadow = new ShadowTables(processor, pages);
  const window = new Window(processor, pages, parts.kind === "binary_translation" ? cachePages : 0);
  shadow.keepAtTop(window.tables);
  const guest = { ...parts, shadow, window };
  return parts.kind === "trap_and_emulate" ? new TrapAndEmulateVcpu(guest) : new TranslationVcpu(guest);
}

/** Why a software VMM cannot hold a guest that starts so; undefined where it can. */
export function whyNotSoftware(start: StartState): string | undefined {
  if ((start.efer & eferBits.LMA) !== 0n) {
    return "a software VMM protects itself with segment limits, and 64-bit mode has none";
  }
  if ((start.cr0 & cr0Bits.PE) === 0n) return "a guest in real mode has no ring to be deprivileged in";
  return undefined;
}
