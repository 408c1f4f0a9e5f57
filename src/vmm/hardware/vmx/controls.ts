// The control words of a VMCS, computed as every VMM must: what it wants, as far as the capability MSRs allow it, plus
// what they demand. Intel SDM vol. 3D, appendix "VMX Capability Reporting Facility".

import { assert } from "../../../base/index.js";
import { controlWords, vmxControls, type VmxControlName, type VmxControlWord } from "../../../isa/index.js";

/** Reads a capability MSR; undefined where the processor has none. */
export type ReadMsr = (address: number) => bigint | undefined;

export type ControlValues = Record<Exclude<VmxControlWord, "vmfunc">, number>;

const words = ["pin", "primary", "secondary", "exit", "entry"] as const;
const vmxBasic = 0x480;
const trueMsrs = 1n << 55n;

/** What this processor lets the controls be. */
export class VmxControls {
  private readonly required: ControlValues;
  private readonly allowed: ControlValues;

  constructor(readMsr: ReadMsr) {
    const useTrue = ((readMsr(vmxBasic) ?? 0n) & trueMsrs) !== 0n;
    const pair = (word: (typeof words)[number]): bigint => {
      const { msr, trueMsr } = controlWords[word];
      return readMsr(useTrue ? trueMsr : msr) ?? 0n;
    };
    const each = (part: (value: bigint) => bigint): ControlValues =>
      Object.fromEntries(words.map((word) => [word, Number(part(pair(word)) & 0xffff_ffffn)])) as ControlValues;
    this.required = each((value) => value);
    this.allowed = each((value) => value >> 32n);
  }

  /** Whether a control may be 1. */
  allows(name: VmxControlName): boolean {
    const { word, mask } = placeOf(name);
    return (this.allowed[word] & mask) !== 0;
  }

  /** Whether a control must be 1. */
  requires(name: VmxControlName): boolean {
    const { word, mask } = placeOf(name);
    return (this.required[word] & mask) !== 0;
  }

  /** The words with every wanted control that may be 1, and every one that must be. */
  values(wanted: Iterable<VmxControlName>): ControlValues {
    const values = { ...this.required };
    for (const name of wanted) {
      const { word, mask } = placeOf(name);
      if ((this.allowed[word] & mask) !== 0) values[word] = (values[word] | mask) >>> 0;
    }
    return values;
  }
}

/** Where a control of the VMCS stands. */
export interface ControlPlace {
  readonly word: keyof ControlValues;
  readonly mask: number;
}

const places = new Map(
  vmxControls.flatMap(({ name, word, bit }) => (word === "vmfunc" ? [] : [[name, { word, mask: (1 << bit) >>> 0 }]])),
);

/** Where a control stands. */
export function placeOf(name: VmxControlName): ControlPlace {
  const place = places.get(name);
  assert(place !== undefined, `${name} is a control of the VMCS`);
  return place;
}
