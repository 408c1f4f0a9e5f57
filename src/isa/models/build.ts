// How a CPU model is made from what is particular about it: everything else follows from its features.

import { featureNames, type CpuFeature } from "../features.js";
import type { CpuModel, Generation } from "../platform.js";
import { vmxCapabilityMsrs, vmxModels } from "../vmx/capabilities.js";
import { cr4Allowed } from "./control-registers.js";
import { cpuidLeaves, type CpuSignature } from "./cpuid.js";
import { modelMsrs } from "./msrs.js";
import { knownOnly, notExecuted } from "./not-executed.js";

/** A processor as its makers built it; what this machine does not execute is left out when the model is made. */
export interface ModelSource {
  readonly name: string;
  readonly title: string;
  readonly vendor: "intel" | "amd";
  readonly generation: Generation;
  readonly signature: CpuSignature;
  readonly highestLeaf: number;
  readonly highestExtendedLeaf: number;
  readonly physicalAddressBits: number;
  readonly linearAddressBits: 32 | 48 | 57;
  readonly asidCount?: number;
  readonly features: readonly CpuFeature[];
  readonly note?: string;
}

/** The model without the features that are not executed here, in the order of the feature table. */
export function buildModel(source: ModelSource): CpuModel {
  const { name, title, vendor, generation, physicalAddressBits, linearAddressBits } = source;
  const features = featureNames.filter((feature) => source.features.includes(feature) && !notExecuted.has(feature));
  const vmx = features.includes("VMX") ? vmxModels[name] : undefined;
  const vmxContext = { longMode: features.includes("LONG_MODE"), cr4Allowed: cr4Allowed(features), features };
  const vmxMsrs = vmx ? vmxCapabilityMsrs(vmx, vmxContext) : [];
  const cpuid = cpuidLeaves({
    ...source,
    // There are at most 47 characters and a final zero.
    brand: `Trapline ${name}`.slice(0, 47),
    asidCount: source.asidCount ?? 0,
    features,
  });
  return {
    name,
    title,
    vendor,
    generation,
    features,
    knownFeatures: knownOnly.filter((feature) => source.features.includes(feature)),
    physicalAddressBits,
    linearAddressBits,
    cpuid,
    msrs: [...modelMsrs({ vendor, physicalAddressBits, features }), ...vmxMsrs].sort((a, b) => a.address - b.address),
    ...(source.note !== undefined && { note: source.note }),
  };
}
