// Which MSRs a model has, by address.

import type { CpuModel, MsrModel } from "../../isa/index.js";

const msrsOf = new WeakMap<CpuModel, ReadonlyMap<number, MsrModel>>();

/** An MSR of a model; undefined where RDMSR and WRMSR raise #GP(0) for want of it. */
export function msrOf(cpu: CpuModel, address: number): MsrModel | undefined {
  let known = msrsOf.get(cpu);
  if (known === undefined) {
    known = new Map(cpu.msrs.map((msr) => [msr.address, msr]));
    msrsOf.set(cpu, known);
  }
  return known.get(address);
}
