// Every intercept bit in both positions: the #VMEXIT with all that it says, and the guest that goes on without it.

import { describe, expect, test } from "vitest";
import { svmExitCode, svmIntercepts } from "../../src/isa/index.js";
import { bed, place, Vmm } from "./driver.js";
import { interceptRows, unreachableIntercepts, type InterceptRow } from "./intercept-rows.js";

const trapLike = new Set(["a physical interrupt", "#DB by single step", "MWAIT after MONITOR", "#MF", "#XM"]);

/** What waits at VMRUN is the host's before it, where the host has instructions of its own. */
const waiting = ["#MC", "an INIT signal"];
const rows = interceptRows.filter((row) => !waiting.includes(row.title) || !bed.isDeeper);

/** A guest that is about to run a row's code, VMMCALL behind it being intercepted. */
function prepared(row: InterceptRow, model = "zen"): Vmm {
  const vmm = new Vmm(model).code(`${row.code} 0f 01 d9`);
  row.near?.(vmm);
  return vmm;
}

function run(vmm: Vmm): void {
  vmm.enter();
  vmm.machine.run(1000);
  vmm.machine.setInterruptLine(false);
}

describe("with the intercept", () => {
  for (const row of rows) {
    test(`${row.title} exits for ${row.intercept}`, () => {
      const vmm = prepared(row).intercept(row.intercept);
      run(vmm);
      const name = row.exit ?? row.intercept;
      const exit = vmm.exit();
      expect(exit.subject).toBe(name);
      if (row.fields) expect(exit.fields).toEqual(row.fields);
      expect(vmm.read("EXITCODE")).toBe(svmExitCode(name));
      if (row.info1 !== undefined) expect(vmm.read("EXITINFO1")).toBe(row.info1);
      if (row.info2 !== undefined) expect(vmm.read("EXITINFO2")).toBe(row.info2);
      const before = trapLike.has(row.title) ? vmm.read("RIP") : place.guestCode;
      expect(vmm.read("RIP")).toBe(before);
      expect(vmm.read("NRIP")).toBe(row.next === 0 ? 0n : before + BigInt(row.next));
      expect(vmm.machine.register("RIP")).toBe(place.hostCode);
    });
  }
});

describe("without the intercept", () => {
  for (const row of rows.filter((r) => r.intercept !== "VMRUN")) {
    test(`${row.title} does not exit for ${row.intercept}`, () => {
      const vmm = prepared(row);
      if (row.intercept !== "VMMCALL") vmm.intercept("VMMCALL");
      run(vmm);
      const name = row.exit ?? row.intercept;
      const exits = vmm.events().filter((e) => e.kind === "exit");
      expect(exits.map((e) => e.subject)).not.toContain(name);
    });
  }
});

describe("without decode assists and next-RIP save", () => {
  const decoded = interceptRows.filter((r) => r.info1 !== undefined && /^(CR|DR|INVLPG|SWINT)/.test(r.intercept));
  for (const row of decoded) {
    test(`${row.title} says nothing of its operands`, () => {
      const vmm = prepared(row, "phenom").intercept(row.intercept).write("NRIP", 0x5555);
      run(vmm);
      expect(vmm.read("EXITINFO1")).toBe(0n);
      expect(vmm.read("NRIP")).toBe(0x5555n);
    });
  }
});

test("every intercept bit has a row, or a reason why none can be", () => {
  const known = new Set([...interceptRows.map((r) => r.intercept), ...unreachableIntercepts.keys()]);
  expect(svmIntercepts.map((i) => i.name).filter((name) => !known.has(name))).toEqual([]);
  const twice = interceptRows.filter((r) => unreachableIntercepts.has(r.intercept));
  expect(twice).toEqual([]);
});
