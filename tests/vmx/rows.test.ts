// Rows of the manual's tables, each with a test, and a count that fails where a row has none: every basic exit reason,
// every control bit in both positions on every model that has it, every VM-instruction error.

import { describe, expect, test } from "vitest";
import {
  allowedOnes, controlMask, findVmxControl, requiredOnes, vmInstructionErrors, vmxControls, vmxExitReasons, vmxModels,
  vmxRules,
} from "../../src/isa/index.js"; // prettier-ignore
import type { VmxControlName } from "../../src/isa/index.js";
import { bed } from "./driver.js";
import { causes, noCause, prepare } from "./row-causes.js";
import { entry, positions, type Positions } from "./row-positions.js";

/** Whether the model lets the control be 1. */
function has(model: string, name: VmxControlName): boolean {
  const control = findVmxControl(name);
  const vmx = vmxModels[model];
  return control !== undefined && vmx !== undefined && (allowedOnes(vmx, control.word) & controlMask(name)) !== 0;
}

/** Signals that arrive before the entry: a level deeper they come to the VMM itself, which is a guest. */
const signals: ReadonlySet<string> = new Set(["INIT_SIGNAL", "STARTUP_IPI", "NMI_EXITING", "VIRTUAL_NMIS"]);
const isShown = (name: string): boolean => !bed.isDeeper || !signals.has(name);

describe("every basic exit reason", () => {
  for (const { name, number } of vmxExitReasons) {
    const cause = causes[name];
    if (!cause || !isShown(name)) continue;
    test(`${number} ${name}`, () => {
      const vmm = prepare(cause);
      vmm.run();
      expect(vmm.exit().subject).toBe(name);
      expect(vmm.read("EXIT_REASON")).toBe(BigInt(number));
    });
  }

  test("has a cause, or a reason why there is none", () => {
    const rows = vmxExitReasons.map((reason) => reason.name);
    expect(rows.filter((name) => !(name in causes) && !(name in noCause))).toEqual([]);
    expect([...Object.keys(causes), ...Object.keys(noCause)].filter((name) => !rows.includes(name))).toEqual([]);
  });
});

/** Whether the control is of the default1 class on a model that cannot clear it. */
function mustBeOne(model: string, name: VmxControlName): boolean {
  const control = findVmxControl(name);
  const vmx = vmxModels[model];
  return control !== undefined && vmx !== undefined && (requiredOnes(vmx, control.word) & controlMask(name)) !== 0;
}

// Control bits --------------------------------------------------------------------------------------------------------

function observe(model: string, name: VmxControlName, setting: Positions, on: boolean): unknown {
  const vmm = prepare({ ...setting, model, code: `${setting.code ?? ""} 0f a2` });
  if (on) vmm.set(name);
  else vmm.clear(name);
  if (setting.see === entry) return entry(vmm);
  vmm.run();
  return setting.see ? setting.see(vmm) : vmm.exit().subject;
}

/** Models of 64-bit hosts, as the driver's guests want them. */
const longModels = Object.keys(vmxModels).filter((model) => model !== "yonah");
const reported = vmxControls.filter((control) => has("skylake", control.name));

describe("every control bit that a model reports, in both positions", () => {
  for (const model of longModels) {
    for (const { name } of vmxControls.filter((control) => has(model, control.name))) {
      const setting = positions[name];
      if (!setting || !isShown(name)) continue;
      test(`${model}: ${name} at 1`, () => expect(observe(model, name, setting, true)).toEqual(setting.on));
      if (mustBeOne(model, name)) continue;
      test(`${model}: ${name} at 0`, () => expect(observe(model, name, setting, false)).toEqual(setting.off));
    }
  }

  test("has a test", () => {
    expect(reported.map((control) => control.name).filter((name) => !(name in positions))).toEqual([]);
  });

  test("is reported by the latest model where any reports it", () => {
    const older = vmxControls.filter(({ name }) => Object.keys(vmxModels).some((model) => has(model, name)));
    expect(older.filter(({ name }) => !has("skylake", name))).toEqual([]);
  });
});

// VM-instruction errors -----------------------------------------------------------------------------------------------

/** Errors that nothing on these models causes, and why. */
const noError: Readonly<Record<number, string>> = {
  6: "the launch state is kept in the VMCS, so that VMRESUME after VMXOFF finds it",
  16: "executive-VMCS pointers belong to the dual-monitor treatment",
  17: "executive-VMCS pointers belong to the dual-monitor treatment",
  18: "executive-VMCS pointers belong to the dual-monitor treatment",
  19: "VMCALL that activates the dual-monitor treatment",
  20: "VMCALL that activates the dual-monitor treatment",
  22: "VMCALL that activates the dual-monitor treatment",
  23: "VMXOFF under the dual-monitor treatment",
  24: "VMCALL that activates the dual-monitor treatment",
  25: "executive VMCSs belong to the dual-monitor treatment",
};

test("every VM-instruction error is that of a rule, or there is a reason why none causes it", () => {
  const ofRules = vmxRules.flatMap(({ outcome }) => (outcome.kind === "VMfailValid" ? [outcome.error] : []));
  const without = vmInstructionErrors.map((error) => error.number).filter((number) => !ofRules.includes(number));
  expect(without).toEqual(Object.keys(noError).map(Number));
});
