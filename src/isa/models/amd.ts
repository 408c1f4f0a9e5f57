// AMD processors as CPU models. Signatures, highest leaves and address widths are those of publicly collected CPUID
// outputs of the processors named in the titles; which extension came with which is in feature-sets.ts.

import type { ModelSource } from "./build.js";
import * as sets from "./feature-sets.js";

const amd = { vendor: "amd", linearAddressBits: 48 } as const;

const athlon64: ModelSource = {
  ...amd,
  name: "athlon64",
  title: "Athlon 64 Venice (2005): 64-bit, segment limits there by EFER.LMSLE, no hardware assist",
  generation: "unassisted",
  signature: { family: 15, model: 0x2f, stepping: 0 },
  highestLeaf: 1,
  highestExtendedLeaf: 0x8000_0018,
  physicalAddressBits: 40,
  features: sets.athlon64,
};

const turion: ModelSource = {
  ...amd,
  name: "turion",
  title: "Turion 64 X2 Tyler (2007): SVM without nested paging",
  generation: "svm1",
  signature: { family: 15, model: 0x68, stepping: 1 },
  highestLeaf: 1,
  highestExtendedLeaf: 0x8000_0018,
  physicalAddressBits: 40,
  asidCount: 64,
  features: sets.turion,
};

const phenom: ModelSource = {
  ...amd,
  name: "phenom",
  title: "Phenom X3 8650 Toliman (2008): SVM with nested paging",
  generation: "svm2",
  signature: { family: 0x10, model: 2, stepping: 3 },
  highestLeaf: 5,
  highestExtendedLeaf: 0x8000_001a,
  physicalAddressBits: 48,
  asidCount: 64,
  features: sets.phenom,
};

const bulldozer: ModelSource = {
  ...amd,
  name: "bulldozer",
  title: "FX Zambezi (2011): adds next-RIP save, decode assists, flush by ASID, VMCB clean bits",
  generation: "svm2",
  signature: { family: 0x15, model: 1, stepping: 2 },
  highestLeaf: 13,
  highestExtendedLeaf: 0x8000_001e,
  physicalAddressBits: 48,
  asidCount: 65_536,
  features: sets.bulldozer,
};

const zen: ModelSource = {
  ...amd,
  name: "zen",
  title: "Ryzen 7 1700 Zen (2017)",
  generation: "svm2",
  signature: { family: 0x17, model: 1, stepping: 1 },
  highestLeaf: 13,
  highestExtendedLeaf: 0x8000_001f,
  physicalAddressBits: 48,
  asidCount: 32_768,
  features: sets.zen,
};

/** AMD's models, oldest first. */
export const amdSources: readonly ModelSource[] = [athlon64, turion, phenom, bulldozer, zen];
