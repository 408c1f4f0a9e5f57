// A guest that has the machine to itself, as `trapline boot --vmm` runs it: ports, interrupts, NMIs and MSRs are the
// machine's own and do not exit. The VMM keeps what virtualization needs: CPUID, control registers, memory, and the
// MSRs by which a guest would find or use virtualization.

import { msrAddresses } from "../isa/index.js";
import type { RangePolicy, VmmPolicy } from "./policy.js";

const open = { read: true, write: true } as const;
const vmxMsrs = { first: 0x480, last: 0x491 } as const;

/** MSRs that a guest may reach without the VMM: all but these. Both bitmap ranges and AMD's third one are covered. */
const kept: readonly (readonly [first: number, last: number])[] = [
  [msrAddresses.IA32_FEATURE_CONTROL, msrAddresses.IA32_FEATURE_CONTROL],
  [vmxMsrs.first, vmxMsrs.last],
  [msrAddresses.IA32_EFER, msrAddresses.IA32_EFER],
  [msrAddresses.TSC_RATIO, msrAddresses.TSC_RATIO],
  [msrAddresses.VM_CR, msrAddresses.SVM_KEY],
];
const all: readonly (readonly [first: number, last: number])[] = [
  [0, 0x1fff],
  [0xc000_0000, 0xc000_1fff],
  [0xc001_0000, 0xc001_1fff],
];

/** The policy with everything open that the VMM can do without. */
export function withPassThrough(policy: VmmPolicy): VmmPolicy {
  const ports: RangePolicy[] = [{ start: 0, end: 0xffff, rights: open, denied: "stop" }];
  const msrs = all.flatMap(([first, last]) => openParts(first, last));
  return { ...policy, passThrough: true, ports: [...ports, ...policy.ports], msrs: [...msrs, ...policy.msrs] };
}

/** A range without the MSRs that are kept. */
function openParts(first: number, last: number): RangePolicy[] {
  const parts: RangePolicy[] = [];
  let start = first;
  for (const [from, to] of kept) {
    if (from < first || from > last) continue;
    if (from > start) parts.push({ start, end: from - 1, rights: open, denied: "stop" });
    start = to + 1;
  }
  parts.push({ start, end: last, rights: open, denied: "stop" });
  return parts;
}
