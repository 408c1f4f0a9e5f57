// Intel processors as CPU models. Signatures, highest leaves and address widths are those of publicly collected
// CPUID outputs of the processors named in the titles; which extension came with which is in feature-sets.ts.

import type { ModelSource } from "./build.js";
import * as sets from "./feature-sets.js";

const intel = { vendor: "intel", linearAddressBits: 48 } as const;

const pentium4: ModelSource = {
  ...intel,
  name: "pentium4",
  title: "Pentium 4 Northwood (2002): 32-bit, no hardware assist",
  generation: "unassisted",
  signature: { family: 15, model: 2, stepping: 7 },
  highestLeaf: 2,
  highestExtendedLeaf: 0x8000_0004,
  physicalAddressBits: 36,
  linearAddressBits: 32,
  features: sets.northwood,
};

const prescott: ModelSource = {
  ...intel,
  name: "prescott",
  title: "Pentium 4 Prescott with Intel 64 (2004): 64-bit, no segment limits there, no hardware assist",
  generation: "unassisted",
  signature: { family: 15, model: 4, stepping: 1 },
  highestLeaf: 5,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 36,
  features: sets.prescott,
};

const yonah: ModelSource = {
  ...intel,
  name: "yonah",
  title: "Core Duo T2400 Yonah (2006): first VT-x, 32-bit",
  generation: "vtx1",
  signature: { family: 6, model: 0x0e, stepping: 8 },
  highestLeaf: 10,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 32,
  linearAddressBits: 32,
  features: sets.yonah,
};

const penryn: ModelSource = {
  ...intel,
  name: "penryn",
  title: "Core 2 Duo T9600 Penryn (2008): VT-x without EPT and VPID",
  generation: "vtx1",
  signature: { family: 6, model: 0x17, stepping: 10 },
  highestLeaf: 13,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 36,
  features: sets.penryn,
};

const nehalem: ModelSource = {
  ...intel,
  name: "nehalem",
  title: "Core i7-920 Nehalem (2008): EPT, VPID, preemption timer",
  generation: "vtx2",
  signature: { family: 6, model: 0x1a, stepping: 5 },
  highestLeaf: 11,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 36,
  features: sets.nehalem,
};

const westmere: ModelSource = {
  ...intel,
  name: "westmere",
  title: "Core i5-520M Westmere (2010): adds unrestricted guest",
  generation: "vtx2",
  signature: { family: 6, model: 0x25, stepping: 2 },
  highestLeaf: 11,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 36,
  features: sets.westmere,
};

const ivybridge: ModelSource = {
  ...intel,
  name: "ivybridge",
  title: "Xeon E5 v2 Ivy Bridge-EP (2013): adds APIC virtualization and posted interrupts",
  generation: "vtx2",
  signature: { family: 6, model: 0x3e, stepping: 4 },
  highestLeaf: 13,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 46,
  features: sets.ivyBridge,
};

const haswell: ModelSource = {
  ...intel,
  name: "haswell",
  title: "Core i7-4770 Haswell (2013): adds VMCS shadowing, EPT accessed and dirty flags, VMFUNC",
  generation: "vtx2",
  signature: { family: 6, model: 0x3c, stepping: 3 },
  highestLeaf: 13,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 39,
  features: sets.haswell,
};

const skylake: ModelSource = {
  ...intel,
  name: "skylake",
  title: "Skylake-X (2017): adds page-modification logging, mode-based execute control, TSC scaling",
  generation: "vtx2",
  signature: { family: 6, model: 0x55, stepping: 4 },
  highestLeaf: 22,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 46,
  features: sets.skylake,
};

const icelake: ModelSource = {
  ...intel,
  name: "icelake",
  title: "Xeon Ice Lake-SP (2021): adds UMIP and 5-level paging; VMX as on Skylake-X",
  generation: "vtx2",
  signature: { family: 6, model: 0x6a, stepping: 6 },
  highestLeaf: 27,
  highestExtendedLeaf: 0x8000_0008,
  physicalAddressBits: 52,
  linearAddressBits: 57,
  features: sets.icelake,
};

/** Intel's models, oldest first. */
export const intelSources: readonly ModelSource[] = [
  pentium4,
  prescott,
  yonah,
  penryn,
  nehalem,
  westmere,
  ivybridge,
  haswell,
  skylake,
  icelake,
];
