// Bits of CR0 and CR4 that a model has: those of CR4 each came with a feature. Intel SDM vol. 3, "Control Registers".

import { cr4Bits } from "../constants.js";
import type { CpuFeature } from "../features.js";

/** Bits of CR0 that software may set: PE, MP, EM, TS, ET, NE, WP, AM, NW, CD, PG. */
export const cr0Allowed = 0xe005_003fn;

/** The feature that brings each bit. PCE came with the first performance counters and is there on all models. */
const bringers: Readonly<Record<keyof typeof cr4Bits, CpuFeature | "always">> = {
  VME: "VME",
  PVI: "VME",
  TSD: "TSC",
  DE: "DE",
  PSE: "PSE",
  PAE: "PAE",
  MCE: "MCE",
  PGE: "PGE",
  PCE: "always",
  OSFXSR: "FXSR",
  OSXMMEXCPT: "SSE",
  UMIP: "UMIP",
  LA57: "LA57",
  VMXE: "VMX",
  SMXE: "SMX",
  FSGSBASE: "FSGSBASE",
  PCIDE: "PCID",
  OSXSAVE: "XSAVE",
  SMEP: "SMEP",
  SMAP: "SMAP",
  PKE: "PKU",
  CET: "CET_SS",
  PKS: "PKS",
};

/** Mask of the bits of CR4 that software may set on a model with these features. */
export function cr4Allowed(features: readonly string[]): bigint {
  return Object.entries(bringers).reduce(
    (mask, [name, feature]) =>
      feature === "always" || features.includes(feature) ? mask | cr4Bits[name as keyof typeof cr4Bits] : mask,
    0n,
  );
}
