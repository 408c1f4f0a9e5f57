// What a guest is told of SVM: the processor's own features without what this VMM does not virtualize.
// AMD APM vol. 3, "CPUID Fn8000_000A".

import { cpuFeatures, type CpuFeature, type CpuidLeaf, type CpuModel } from "../../../isa/index.js";

/** A feature whose structures the VMM would have to shadow, and does not (CVE-2021-3653). */
const withheld: readonly CpuFeature[] = ["AVIC"];
const svmLeaf = 0x8000_000a;

/** The leaf of SVM as the guest reads it. */
export function offeredLeaf(cpu: CpuModel): CpuidLeaf {
  const leaf = cpu.cpuid.find((each) => each.leaf === svmLeaf) ?? { leaf: svmLeaf, eax: 0, ebx: 0, ecx: 0, edx: 0 };
  const hidden = withheld.reduce((bits, name) => bits | (1 << cpuFeatures[name].bit), 0);
  return { ...leaf, edx: leaf.edx & ~hidden };
}

/** Bits of the VMCB's VINTR that the guest's VMM may give its guest; AVIC is not among them. */
export function offeredVintr(cpu: CpuModel): bigint {
  const always = 0xffn | (1n << 8n) | (0xfn << 16n) | (1n << 20n) | (1n << 24n) | (0xffn << 32n);
  const virtualGif = (1n << 9n) | (1n << 25n);
  return cpu.features.includes("VGIF") ? always | virtualGif : always;
}
