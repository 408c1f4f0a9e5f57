// What a platform is: a CPU model with its firmware's settings and its memory. The models are in models/.

import type { Variation } from "./variation.js";

/** The generations of hardware assist, which are also the names of groups in `on`. */
export type Generation = "unassisted" | "vtx1" | "vtx2" | "svm1" | "svm2";

/** One output of CPUID. */
export interface CpuidLeaf {
  readonly leaf: number;
  /** Absent where the leaf has no subleaves. */
  readonly subleaf?: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** An MSR of a model: its value after reset, the bits that software may change, and whether it may be written. */
export interface MsrModel {
  readonly address: number;
  readonly name: string;
  readonly reset: bigint;
  /** Bits that WRMSR may change; setting any other bit to something else than `reset` raises #GP(0). */
  readonly writable: bigint;
  readonly readOnly?: boolean;
}

/** How the firmware leaves the virtualization extensions. */
export interface Firmware {
  readonly vmx?: "enabled" | "locked_off" | "unlocked";
  readonly svm?: "enabled" | "disabled" | "disabled_locked";
}

/** A CPU model as data. Every behaviour that differs between models follows from these fields. */
export interface CpuModel {
  readonly name: string;
  readonly title: string;
  readonly vendor: "intel" | "amd";
  readonly generation: Generation;
  /** CPU features by the manual's names (`LONG_MODE`, `NX`, `EPT`), which instruction rows also name. */
  readonly features: readonly string[];
  /** Features of the real processor whose instructions are known but not all executed; CPUID does not report them. */
  readonly knownFeatures: readonly string[];
  readonly physicalAddressBits: number;
  readonly linearAddressBits: 32 | 48 | 57;
  readonly cpuid: readonly CpuidLeaf[];
  readonly msrs: readonly MsrModel[];
  readonly note?: string;
}

/** A model with everything that a `platform` declaration can set. */
export interface Platform {
  readonly name: string;
  readonly cpu: CpuModel;
  readonly firmware: Firmware;
  readonly memoryBytes: number;
  /** Freedoms of the manual that a run takes otherwise than by default. */
  readonly variation?: Variation;
}
