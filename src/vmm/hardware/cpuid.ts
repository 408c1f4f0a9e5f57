// CPUID for a guest: the processor's own leaves, without what the VMM keeps for itself.
// Intel SDM vol. 2A, "CPUID"; AMD APM vol. 3, "CPUID".

import { cr4Bits, type CpuModel, type CpuidLeaf } from "../../isa/index.js";
import { gpr, type ExitedGuest } from "./exited-guest.js";

interface Leaves {
  readonly byNumber: ReadonlyMap<number, readonly CpuidLeaf[]>;
  readonly highestBasic: CpuidLeaf | undefined;
}

const none = { leaf: 0, eax: 0, ebx: 0, ecx: 0, edx: 0 } as const satisfies CpuidLeaf;
const osxsave = 1 << 27;
const ospke = 1 << 4;
/** CPUID.1:ECX: VMX and SMX. */
const hiddenBasic = (1 << 5) | (1 << 6);
/** CPUID.8000_0001:ECX: SVM and SKINIT. */
const hiddenExtended = (1 << 2) | (1 << 12);

/** SVM's own leaf, which a processor without SVM does not have. */
const svmLeaf = 0x8000_000a;

const leavesOf = new WeakMap<CpuModel, Leaves>();

/** Carries out CPUID for the guest. The instruction is not completed here. */
export function emulateCpuid(guest: ExitedGuest): void {
  const number = guest.general32(gpr.rax);
  const subleaf = guest.general32(gpr.rcx);
  const found = findLeaf(guest.platform.cpu, number, subleaf);
  const leaf = found.leaf === svmLeaf ? none : found;
  guest.setGeneral32(gpr.rax, leaf.eax);
  guest.setGeneral32(gpr.rbx, leaf.ebx);
  guest.setGeneral32(gpr.rcx, ecxForGuest(guest, leaf));
  guest.setGeneral32(gpr.rdx, leaf.edx);
}

/** What the processor answers. Beyond the last leaf Intel repeats the last basic one, AMD gives zeros. */
function findLeaf(cpu: CpuModel, number: number, subleaf: number): CpuidLeaf {
  const { byNumber, highestBasic } = indexed(cpu);
  const candidates = byNumber.get(number);
  if (candidates) return candidates.find((leaf) => (leaf.subleaf ?? subleaf) === subleaf) ?? { ...none, leaf: number };
  const inBasicRange = number <= (highestBasic?.leaf ?? 0);
  return cpu.vendor === "intel" && !inBasicRange && highestBasic ? highestBasic : { ...none, leaf: number };
}

/** ECX says what the VMM keeps for itself, and what the guest has turned on. */
function ecxForGuest(guest: ExitedGuest, leaf: CpuidLeaf): number {
  switch (leaf.leaf) {
    case 1: {
      const live = (guest.register("CR4") & cr4Bits.OSXSAVE) !== 0n ? osxsave : 0;
      return (leaf.ecx & ~hiddenBasic & ~osxsave) | live;
    }
    case 7: {
      if (leaf.subleaf !== undefined && leaf.subleaf !== 0) return leaf.ecx;
      const live = (guest.register("CR4") & cr4Bits.PKE) !== 0n ? ospke : 0;
      return (leaf.ecx & ~ospke) | live;
    }
    case 0x8000_0001:
      return leaf.ecx & ~hiddenExtended;
    default:
      return leaf.ecx;
  }
}

function indexed(cpu: CpuModel): Leaves {
  const known = leavesOf.get(cpu);
  if (known) return known;
  const byNumber = new Map<number, CpuidLeaf[]>();
  for (const leaf of cpu.cpuid) byNumber.set(leaf.leaf, [...(byNumber.get(leaf.leaf) ?? []), leaf]);
  const limit = byNumber.get(0)?.[0]?.eax ?? 0;
  const made = { byNumber, highestBasic: byNumber.get(limit)?.[0] };
  leavesOf.set(cpu, made);
  return made;
}
