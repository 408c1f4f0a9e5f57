// CPUID of a model, computed from its features: a bit is set exactly where the feature list says so.
// Intel SDM vol. 2, "CPUID"; AMD APM vol. 3, appendix "Obtaining Processor Information Via the CPUID Instruction".
//
// Bits that follow processor state (OSXSAVE, OSPKE, APIC after its global disable, the size in leaf 0DH) are the
// core's to change; here they are as after reset.

import { cpuFeatures, type CpuFeature } from "../features.js";
import type { CpuidLeaf } from "../platform.js";

/** Family and model with their extended parts added, as the manuals print them (6 and 3CH, 16 and 2). */
export interface CpuSignature {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** What CPUID says about a model beyond its features. */
export interface CpuidIdentity {
  readonly vendor: "intel" | "amd";
  readonly signature: CpuSignature;
  /** Shown by leaves 8000_0002H to 8000_0004H; at most 47 characters. */
  readonly brand: string;
  readonly highestLeaf: number;
  readonly highestExtendedLeaf: number;
  readonly physicalAddressBits: number;
  readonly linearAddressBits: 32 | 48 | 57;
  /** Number of address space identifiers that SVM offers; 0 without SVM. */
  readonly asidCount: number;
  readonly features: readonly CpuFeature[];
}

type Registers = Pick<CpuidLeaf, "eax" | "ebx" | "ecx" | "edx">;

const vendorText = { intel: "GenuineIntel", amd: "AuthenticAMD" } as const;

/** CLFLUSH works on lines of 64 bytes; the field counts in units of 8. */
const clflushUnits = 8;

/** All leaves that a model answers; leaves in range that are not listed read as zero. */
export function cpuidLeaves(identity: CpuidIdentity): CpuidLeaf[] {
  const { vendor, physicalAddressBits, linearAddressBits } = identity;
  const signature = signatureOf(identity.signature);
  const [ebx, edx, ecx] = words(vendorText[vendor], 3);
  const leaves: CpuidLeaf[] = [
    leaf(identity, 0, { eax: identity.highestLeaf, ebx: ebx ?? 0, ecx: ecx ?? 0, edx: edx ?? 0 }),
    leaf(identity, 1, { eax: signature, ebx: (clflushUnits << 8) | (1 << 16) }),
  ];
  // Leaf 2: "one call is enough" and no cache is described; leaf 4 then ends the list of caches at once.
  if (vendor === "intel" && identity.highestLeaf >= 2) leaves.push(leaf(identity, 2, { eax: 1 }));
  if (identity.highestLeaf >= 5 && identity.features.includes("MONITOR")) {
    leaves.push(leaf(identity, 5, { eax: 64, ebx: 64 }));
  }
  if (identity.highestLeaf >= 7) leaves.push(leaf(identity, 7, {}, 0));
  if (identity.features.includes("X2APIC")) leaves.push(...topologyLeaves(identity));
  if (identity.features.includes("XSAVE")) leaves.push(...xsaveLeaves(identity));

  const extended = identity.highestExtendedLeaf;
  leaves.push(
    leaf(identity, 0x8000_0000, vendor === "amd" ? { ...leaves[0], eax: extended } : { eax: extended }),
    leaf(identity, 0x8000_0001, { eax: vendor === "amd" ? signature : 0 }),
    ...brandLeaves(identity),
  );
  if (extended >= 0x8000_0007) leaves.push(leaf(identity, 0x8000_0007, {}));
  if (extended >= 0x8000_0008) {
    leaves.push(leaf(identity, 0x8000_0008, { eax: physicalAddressBits | (linearAddressBits << 8) }));
  }
  if (identity.features.includes("SVM")) {
    leaves.push(leaf(identity, 0x8000_000a, { eax: 1, ebx: identity.asidCount }));
  }
  return leaves;
}

/** A leaf with the bits of the features that it reports; on AMD, 8000_0001H.EDX repeats some bits of leaf 1. */
function leaf(identity: CpuidIdentity, number: number, base: Partial<Registers>, subleaf?: number): CpuidLeaf {
  const out = { eax: base.eax ?? 0, ebx: base.ebx ?? 0, ecx: base.ecx ?? 0, edx: base.edx ?? 0 };
  for (const name of identity.features) {
    const bit = cpuFeatures[name];
    if (bit.leaf === number && (subleaf ?? 0) === bit.subleaf) out[bit.register] |= 1 << bit.bit;
    if (number === 0x8000_0001 && identity.vendor === "amd" && "alsoAmd" in bit) out.edx |= 1 << bit.bit;
  }
  return {
    leaf: number,
    ...(subleaf !== undefined && { subleaf }),
    eax: out.eax >>> 0,
    ebx: out.ebx >>> 0,
    ecx: out.ecx >>> 0,
    edx: out.edx >>> 0,
  };
}

/** Leaf 0BH: one thread in one core; ECX repeats the subleaf and says the level type. */
function topologyLeaves(identity: CpuidIdentity): CpuidLeaf[] {
  return [
    leaf(identity, 0xb, { ebx: 1, ecx: 1 << 8 }, 0),
    leaf(identity, 0xb, { ebx: 1, ecx: 1 | (2 << 8) }, 1),
    leaf(identity, 0xb, { ecx: 2 }, 2),
  ];
}

/** State components that XCR0 can enable: number -> size and offset in the standard form of the XSAVE area. */
const stateComponents: readonly { bit: number; sizeBytes: number; offsetBytes: number; feature: CpuFeature }[] = [
  { bit: 2, sizeBytes: 256, offsetBytes: 576, feature: "AVX" },
  { bit: 9, sizeBytes: 8, offsetBytes: 2688, feature: "PKU" },
];

/** Leaf 0DH: x87 and SSE lie in the first 512 bytes, the header follows, then each further component at its offset. */
function xsaveLeaves(identity: CpuidIdentity): CpuidLeaf[] {
  const present = stateComponents.filter((component) => identity.features.includes(component.feature));
  const mask = present.reduce((bits, component) => bits | (1 << component.bit), 0b11);
  const sizeBytes = present.reduce((end, c) => Math.max(end, c.offsetBytes + c.sizeBytes), 576);
  return [
    // EBX is the size for what XCR0 enables, x87 alone after reset; ECX the size for all that it can enable.
    leaf(identity, 0xd, { eax: mask, ebx: 576, ecx: sizeBytes }, 0),
    leaf(identity, 0xd, { ebx: identity.features.includes("XSAVEC") ? 576 : 0 }, 1),
    ...present.map((c) => leaf(identity, 0xd, { eax: c.sizeBytes, ebx: c.offsetBytes }, c.bit)),
  ];
}

function brandLeaves(identity: CpuidIdentity): CpuidLeaf[] {
  const text = words(identity.brand, 12);
  return [0, 1, 2].map((i) => {
    const [eax, ebx, ecx, edx] = text.slice(i * 4, i * 4 + 4);
    return leaf(identity, 0x8000_0002 + i, { eax: eax ?? 0, ebx: ebx ?? 0, ecx: ecx ?? 0, edx: edx ?? 0 });
  });
}

/** Leaf 1 EAX: families above 15 use the extended field; the extended model counts for families 6 and 15. */
function signatureOf({ family, model, stepping }: CpuSignature): number {
  const baseFamily = Math.min(family, 15);
  return ((family - baseFamily) << 20) | ((model >> 4) << 16) | (baseFamily << 8) | ((model & 15) << 4) | stepping;
}

/** Text as little-endian doublewords, filled up with zero bytes. */
function words(text: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) =>
    [0, 1, 2, 3].reduce((word, j) => (word | ((text.charCodeAt(i * 4 + j) || 0) << (8 * j))) >>> 0, 0),
  );
}

/**
 * What CPUID answers on a model: the leaf; a subleaf that is not listed reads as zero; a leaf beyond the highest
 * answers as the highest basic leaf on Intel, and as zero on AMD. Signed input is taken as unsigned.
 */
export function cpuid(
  model: { readonly vendor: "intel" | "amd"; readonly cpuid: readonly CpuidLeaf[] },
  leafNumber: number,
  subleaf: number,
): Registers {
  const wanted = leafNumber >>> 0;
  const base = wanted >= 0x8000_0000 ? 0x8000_0000 : 0;
  const highest = model.cpuid.find((entry) => entry.leaf === base)?.eax ?? 0;
  const inRange = wanted <= highest && (wanted < 0x4000_0000 || wanted >= 0x8000_0000);
  const effective = inRange ? wanted : model.vendor === "intel" ? (model.cpuid[0]?.eax ?? 0) : undefined;
  const candidates = model.cpuid.filter((entry) => entry.leaf === effective);
  const found = candidates.find((entry) => entry.subleaf === undefined || entry.subleaf === subleaf >>> 0);
  return found ?? { eax: 0, ebx: 0, ecx: 0, edx: 0 };
}
