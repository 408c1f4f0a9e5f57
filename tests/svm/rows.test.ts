// Every exit code of SVM has a test: those that an intercept bit selects their rows (intercepts.test.ts), the others one
// here. A count fails where a code has none.

import { describe, expect, test } from "vitest";
import { svmExitCode, svmExitNames } from "../../src/isa/index.js";
import { place, Vmm } from "./driver.js";
import { interceptRows, unreachableIntercepts } from "./intercept-rows.js";

const data = 0x30_0000n;
const backing = 0x40_0000n;
const load = "8a 00"; // mov al, [rax]

/** A guest with the AVIC, its backing page where its APIC's page is under nested paging. */
function avic(): Vmm {
  const vmm = new Vmm().withNestedPaging().write("VINTR", 0x8000_0000n).write("AVIC_BACKING_PAGE", backing);
  vmm.write("AVIC_APIC_BAR", 0x20_0000n * 8n).write("AVIC_LOGICAL_TABLE", backing + 0x1000n);
  return vmm.write("AVIC_PHYSICAL_TABLE", backing + 0x2000n).register("RAX", 0x20_0000n * 8n);
}

/** The exits that no intercept bit selects, each with a guest that meets it. */
const others: Readonly<Record<string, () => Vmm>> = {
  NPF: () => {
    const vmm = new Vmm().withNestedPaging().register("RAX", data).code(load);
    vmm.machine.writeU64(place.nested + 0x2008n, 0n);
    return vmm;
  },
  // Self IPI by a vector below 16, and a read of a register that is not accelerated.
  AVIC_INCOMPLETE_IPI: () => avic().register("RBX", 5n).code("c7 80 00 03 00 00 05 00 04 00"),
  AVIC_NOACCEL: () => avic().code("8b 80 90 03 00 00"),
};

const without: Readonly<Record<string, string>> = {
  BUSY: "the VMCB of a processor that runs it already: no model has encrypted state",
  INVALID: "a failed entry, which has a test for each of its rules (vmrun.test.ts)",
};

describe("every exit code", () => {
  for (const [name, prepared] of Object.entries(others)) {
    test(`${name}`, () => {
      const vmm = prepared();
      vmm.run();
      expect(vmm.exit().subject).toBe(name);
      expect(vmm.read("EXITCODE")).toBe(svmExitCode(name));
    });
  }

  test("has a test, or a reason why there is none", () => {
    const rows = interceptRows.map((row) => row.exit ?? row.intercept);
    const known = new Set([...rows, ...unreachableIntercepts.keys(), ...Object.keys(others), ...Object.keys(without)]);
    const names = svmExitNames().map(({ name }) => name);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
    expect([...known].filter((name) => !names.includes(name))).toEqual([]);
  });
});
