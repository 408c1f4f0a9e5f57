// The table is whole: notation parses, names resolve, rows say what their readers need. Start-up checks none of this.

import { describe, expect, test } from "vitest";
import {
  cpuFeatures,
  encodingOf,
  exceptionByName,
  exceptions,
  featureNames,
  instructions,
  manuals,
  registers,
} from "../../src/isa/index.js";

describe("instruction table", () => {
  test("every form's notation parses", () => {
    for (const { forms } of instructions) for (const form of forms) encodingOf(form);
    expect(instructions.reduce((sum, { forms }) => sum + forms.length, 0)).toBeGreaterThan(1500);
  });

  test("every row has a summary that is a sentence, a citation, and forms", () => {
    for (const row of instructions) {
      expect(row.summary, row.mnemonic).toMatch(/^[A-Z].*\.$/);
      expect(row.cite.length, row.mnemonic).toBeGreaterThan(0);
      expect(row.forms.length, row.mnemonic).toBeGreaterThan(0);
      expect(row.mnemonic).toMatch(/^[A-Z][A-Z0-9]*$/);
    }
  });

  test("citations name manuals and chapters of the pinned editions", () => {
    for (const row of instructions) {
      for (const { manual, chapter } of row.cite) {
        if (chapter !== undefined) expect(Object.keys(manuals[manual].chapters), row.mnemonic).toContain(chapter);
      }
    }
  });

  test("faults name exceptions that exist", () => {
    for (const row of instructions) {
      for (const fault of row.faults) {
        const names = (fault.split(":")[0] ?? "").split(", ");
        for (const name of names)
          expect(exceptionByName(name.replace(/\(.*\)/, "")), `${row.mnemonic}: ${fault}`).toBeDefined();
      }
    }
  });

  test("flags are named as the manual names them", () => {
    const known = /^((CF|PF|AF|ZF|SF|TF|IF|DF|OF|IOPL|NT|RF|VM|AC|VIF|VIP|ID)( |$))*$/;
    for (const row of instructions) {
      for (const names of Object.values(row.flags)) expect(names, row.mnemonic).toMatch(known);
    }
  });

  test("privileged instructions fault outside ring 0, and the others do not say so", () => {
    for (const row of instructions) {
      const outside = row.faults.some((fault) => /CPL is not 0/.test(fault) && !/CR4\.(TSD|UMIP|PCE)/.test(fault));
      if (row.sensitivity === "privileged") expect(outside, row.mnemonic).toBe(true);
      else if (row.mnemonic !== "VMCALL") expect(outside, row.mnemonic).toBe(false);
    }
  });
});

describe("registers, features, exceptions", () => {
  test("names are unique", () => {
    for (const names of [registers.map((r) => r.name), exceptions.map((e) => e.name), [...featureNames]]) {
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test("no two features share a CPUID bit", () => {
    const places = Object.values(cpuFeatures).map((f) => `${f.leaf} ${f.subleaf} ${f.register} ${f.bit}`);
    expect(new Set(places).size).toBe(places.length);
  });
});
