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
  svmExitCodes,
  vmxExitReasons,
  type Instruction,
  type Intercept,
} from "../../src/isa/index.js";

/** Mnemonics of the rows that break a rule. */
const breaking = (holds: (row: Instruction) => boolean): string[] =>
  instructions()
    .filter((row) => !holds(row))
    .map((row) => row.mnemonic);

const knownFlags = /^((CF|PF|AF|ZF|SF|TF|IF|DF|OF|IOPL|NT|RF|VM|AC|VIF|VIP|ID)( |$))*$/;

/** The exceptions that a fault names: `#GP(0), #SS(0): the reason`. */
const exceptionsOf = (fault: string): string[] =>
  (fault.split(":")[0] ?? "").split(", ").map((name) => name.replace(/\(.*\)/, ""));

/** Whether a row faults outside ring 0 whatever the control registers say. */
const faultsOutsideRing0 = (row: Instruction): boolean =>
  row.faults.some((fault) => fault.includes("CPL is not 0") && !/CR4\.(TSD|UMIP|PCE)/.test(fault));

/** Exits of instructions that no CPU model has; the exit table leaves them out. */
const exitsOfNoModel = ["UMWAIT", "TPAUSE"];

const exitNames = (intercepts: Intercept | readonly Intercept[] | undefined): string[] => {
  const list = intercepts === undefined ? [] : "exit" in intercepts ? [intercepts] : intercepts;
  return list.flatMap((intercept) => intercept.exit.split(", "));
};

describe("instruction table", () => {
  test("every form's notation parses", () => {
    const forms = instructions().flatMap((row) => row.forms);
    expect(forms.map(encodingOf)).toHaveLength(forms.length);
    expect(forms.length).toBeGreaterThan(1500);
  });

  test("every row has a name, a summary that is a sentence, a citation, and forms", () => {
    expect(breaking((row) => /^[A-Z][A-Z0-9]*$/.test(row.mnemonic))).toEqual([]);
    expect(breaking((row) => /^[A-Z].*\.$/.test(row.summary))).toEqual([]);
    expect(breaking((row) => row.cite.length > 0 && row.forms.length > 0)).toEqual([]);
  });

  test("citations name manuals and chapters of the pinned editions", () => {
    const resolves = ({ cite }: Instruction): boolean =>
      cite.every(({ manual, chapter }) => chapter === undefined || Object.hasOwn(manuals[manual].chapters, chapter));
    expect(breaking(resolves)).toEqual([]);
  });

  test("faults name exceptions that exist", () => {
    const exist = (row: Instruction): boolean =>
      row.faults.flatMap(exceptionsOf).every((name) => exceptionByName(name));
    expect(breaking(exist)).toEqual([]);
  });

  test("flags are named as the manual names them", () => {
    expect(breaking((row) => Object.values(row.flags).every((names: string) => knownFlags.test(names)))).toEqual([]);
  });

  test("intercepts name exits of the vendors' tables", () => {
    const vmx = new Set([...vmxExitReasons.map((exit) => exit.name), ...exitsOfNoModel, "none"]);
    const svm = new Set(svmExitCodes.map((exit) => exit.name));
    expect(breaking((row) => exitNames(row.intercepts.vmx).every((name) => vmx.has(name)))).toEqual([]);
    expect(breaking((row) => exitNames(row.intercepts.svm).every((name) => svm.has(name)))).toEqual([]);
  });

  test("privileged instructions fault outside ring 0, and the others do not say so", () => {
    // VMCALL faults there in root operation and exits in a guest.
    const agrees = (row: Instruction): boolean =>
      row.mnemonic === "VMCALL" || faultsOutsideRing0(row) === (row.sensitivity === "privileged");
    expect(breaking(agrees)).toEqual([]);
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
