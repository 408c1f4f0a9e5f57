// Each Intel model with VMX: what its capability MSRs promise is what VM entry accepts.

import { describe, expect, test } from "vitest";
import { allowedOnes, controlMask, controlWords, findPlatform, vmxControls, vmxModels } from "../../src/isa/index.js";
import type { VmxControlName } from "../../src/isa/index.js";
import { platformWith, Vmm } from "./driver.js";

const longModels = ["penryn", "nehalem", "westmere", "ivybridge", "haswell", "skylake"] as const;

/** The value of a capability MSR of the model. */
function capability(model: string, address: number): bigint {
  return platformWith(model).cpu.msrs.find((m) => m.address === address)?.reset ?? 0n;
}

function allows(model: string, name: VmxControlName): boolean {
  const control = vmxControls.find((c) => c.name === name);
  if (!control) return false;
  const shift = control.word === "vmfunc" ? 0n : 32n;
  return ((capability(model, controlWords[control.word].msr) >> shift) & BigInt(controlMask(name))) !== 0n;
}

describe("capability MSRs", () => {
  for (const model of Object.keys(vmxModels)) {
    test(`${model}: bits that must be 1 are bits that may be 1`, () => {
      for (const address of [0x481, 0x482, 0x483, 0x484, 0x48b, 0x48d, 0x48e, 0x48f, 0x490]) {
        const value = capability(model, address);
        expect(value & 0xffff_ffffn & ~(value >> 32n)).toBe(0n);
      }
    });
  }

  test("only models of the second generation have EPT and VPID", () => {
    const withEpt = Object.keys(vmxModels).filter((m) => allows(m, "ENABLE_EPT") && allows(m, "ENABLE_VPID"));
    expect(withEpt).toEqual(Object.keys(vmxModels).filter((m) => findPlatform(m)?.cpu.generation === "vtx2"));
  });

  test("the first generation forces exits on MOV to and from CR3", () => {
    for (const model of ["yonah", "penryn"]) {
      const required = capability(model, 0x482) & 0xffff_ffffn;
      expect(required & BigInt(controlMask("CR3_LOAD_EXITING", "CR3_STORE_EXITING"))).toBe(0x1_8000n);
    }
  });
});

describe("VM entry", () => {
  for (const model of longModels) {
    test(`${model} enters a 64-bit guest`, () => {
      const vmm = new Vmm(model).code("0f a2");
      vmm.run();
      expect(vmm.exit().subject).toBe("CPUID");
    });

    test(`${model} refuses every control that it does not report`, () => {
      for (const control of vmxControls) {
        if (control.word === "vmfunc" || allows(model, control.name)) continue;
        const vmm = new Vmm(model);
        if (control.word === "secondary") {
          if (!allows(model, "ACTIVATE_SECONDARY_CONTROLS")) continue;
          vmm.set("ACTIVATE_SECONDARY_CONTROLS");
        }
        // A field that the model does not have cannot be written, and then nothing is refused.
        const before = vmm.read(controlWords[control.word].field);
        vmm.set(control.name);
        if (vmm.read(controlWords[control.word].field) === before) continue;
        const rule = { pin: "pin", primary: "primary", secondary: "secondary", exit: "exit", entry: "entry" }[
          control.word
        ];
        expect(vmm.enter(), control.name).toMatchObject({ kind: "fail", number: 7, rule: `controls.${rule}.reserved` });
      }
    });
  }

  test("yonah enters a 32-bit guest, and CR3 exits come unasked", () => {
    const vmm = new Vmm("yonah", undefined, "legacy").code("0f 20 d8");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "CR_ACCESS", fields: { cr: 3n, access: "mov_from_cr" } });
    expect(allowedOnes(vmm.capabilities, "secondary")).toBe(0);
  });
});
