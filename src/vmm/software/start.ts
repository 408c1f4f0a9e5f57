// Starts a software VMM, or says why it cannot hold its guest.

import { cr0Bits, eferBits, msrAddresses, type CpuModel } from "../../isa/index.js";
import type { StartState } from "../../program/index.js";
import type { BundledVmm } from "../bundled.js";
import { ShadowTables } from "../hardware/shadow-paging.js";
import type { PageAllocator } from "../page-allocator.js";
import type { VmmChoice } from "../policy.js";
import type { EmulatedInstruction } from "./shared/emulation.js";
import { privilegedInstructions } from "./shared/privileged.js";
import type { SoftwareVcpuParts } from "./shared/software-vcpu.js";
import { Window } from "./shared/window.js";
import { cachePages } from "./translation/code-cache.js";
import { sensitiveInstructions } from "./translation/sensitive.js";
import { TranslationVcpu } from "./translation/vcpu.js";
import { TrapAndEmulateVcpu } from "./trap-and-emulate/vcpu.js";

export interface SoftwareParts extends Omit<SoftwareVcpuParts, "shadow" | "window"> {
  readonly pages: PageAllocator;
  readonly kind: VmmChoice["kind"];
}

/** The instructions that a software VMM carries out for its guest. */
export function softwareInstructions(kind: VmmChoice["kind"]): ReadonlyMap<string, EmulatedInstruction> {
  return kind === "trap_and_emulate" ? privilegedInstructions : sensitiveInstructions;
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

/** Why a software VMM cannot hold a guest that starts so, or do what a test declares; undefined where it can. */
export function whyNotSoftware(choice: VmmChoice, cpu: CpuModel, start: StartState): string | undefined {
  if ((start.efer & eferBits.LMA) !== 0n) return whyNotLong(cpu);
  if ((start.cr0 & cr0Bits.PE) === 0n) return "a guest in real mode has no ring to be deprivileged in";
  const { kind, policy } = choice;
  const seen = new Set([...softwareInstructions(kind).values()].map(({ subject }) => subject));
  const unseen = policy.intercepts.find((name) => !name.startsWith("#") && !alwaysSeen.has(name) && !seen.has(name));
  return unseen === undefined ? undefined : `${kind} does not see ${unseen}: nothing there brings control to the VMM`;
}

/** Exits of the hardware whose causes fault in the outer rings. */
const alwaysSeen: ReadonlySet<string> = new Set(["CR_ACCESS", "DR_ACCESS", "IO_INSTRUCTION", "IOIO", "MSR"]);

/** 64-bit mode ignores segment limits, which keep the window; AMD's processors before Zen have them on request. */
function whyNotLong(cpu: CpuModel): string {
  const efer = cpu.msrs.find((msr) => msr.address === msrAddresses.IA32_EFER);
  return ((efer?.writable ?? 0n) & eferBits.LMSLE) !== 0n
    ? "a software VMM protects itself with segment limits, and this one does not use those of 64-bit mode (EFER.LMSLE)"
    : "a software VMM protects itself with segment limits, and in 64-bit mode this processor has none";
}
