// The mode in which a guest stands, by the name that `guest` declarations use: what a refusal is about.

import { cr0Bits, cr4Bits, eferBits } from "../isa/index.js";
import type { Processor } from "./virtualization.js";

const longCode = 1 << 13;
const wideCode = 1 << 14;

/** `long64`, `real16` and so on. */
export function guestModeOf(processor: Pick<Processor, "register" | "segment">): string {
  const cr0 = processor.register("CR0");
  const { rights } = processor.segment("CS");
  if ((cr0 & cr0Bits.PE) === 0n) return "real16";
  if ((processor.register("EFER") & eferBits.LMA) !== 0n) return (rights & longCode) !== 0 ? "long64" : "compat32";
  if ((rights & wideCode) === 0) return "prot16";
  if ((cr0 & cr0Bits.PG) === 0n) return "prot32";
  return (processor.register("CR4") & cr4Bits.PAE) !== 0n ? "pae32" : "paged32";
}
