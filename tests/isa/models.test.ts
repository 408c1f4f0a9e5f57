// CPU models: their groups, what CPUID reports of them, their MSRs, and derived platforms.

import { expect, test } from "vitest";
import {
  cpuFeatures,
  cpuid,
  derivePlatform,
  featureNames,
  findPlatform,
  groupMembers,
  groupNames,
  notExecuted,
  platformNames,
  type Platform,
} from "../../src/isa/index.js";

const platform = (name: string): Platform => {
  const found = findPlatform(name);
  if (!found) throw new Error(`no platform ${name}`);
  return found;
};
const msr = (of: Platform, name: string) => of.cpu.msrs.find((entry) => entry.name === name);

test("the fifteen platforms stand in their groups, oldest first", () => {
  expect(Object.fromEntries(groupNames.map((group) => [group, groupMembers(group)]))).toEqual({
    unassisted: ["pentium4", "prescott", "athlon64"],
    vtx1: ["yonah", "penryn"],
    vtx2: ["nehalem", "westmere", "ivybridge", "haswell", "skylake", "icelake"],
    svm1: ["turion"],
    svm2: ["phenom", "bulldozer", "zen"],
    all: platformNames,
  });
  expect(platformNames).toHaveLength(15);
});

test("a name that is no platform or group is undefined", () => {
  expect(findPlatform("haswel")).toBeUndefined();
  expect(groupMembers("vtx3")).toBeUndefined();
});

test.each(platformNames)("CPUID of %s reports exactly its features", (name) => {
  const { cpu } = platform(name);
  // Leaves beyond the highest answer something else on Intel, so no feature may lie there.
  const within = (leaf: number): boolean => leaf <= cpuid(cpu, leaf >= 0x8000_0000 ? 0x8000_0000 : 0, 0).eax;
  const reported = featureNames.filter((feature) => {
    const { leaf, subleaf, register, bit } = cpuFeatures[feature];
    return within(leaf) && ((cpuid(cpu, leaf, subleaf)[register] >>> bit) & 1) === 1;
  });
  expect(reported).toEqual(cpu.features);
});

test.each(platformNames)("%s reports nothing that is not executed", (name) => {
  expect(platform(name).cpu.features.filter((feature) => (notExecuted as ReadonlySet<string>).has(feature))).toEqual(
    [],
  );
});

test.each(platformNames)(
  "the MSRs of %s are in order, each once, and reset to values that could be written",
  (name) => {
    const { msrs } = platform(name).cpu;
    const addresses = msrs.map((entry) => entry.address);
    expect(addresses).toEqual([...new Set(addresses)].sort((a, b) => a - b));
    expect(new Set(msrs.map((entry) => entry.name)).size).toBe(msrs.length);
  },
);

test("signatures are those of the processors named in the titles", () => {
  const signatures = Object.fromEntries(
    platformNames.map((name) => [name, cpuid(platform(name).cpu, 1, 0).eax.toString(16)]),
  );
  expect(signatures).toEqual({
    pentium4: "f27",
    prescott: "f41",
    athlon64: "20ff0",
    yonah: "6e8",
    penryn: "1067a",
    nehalem: "106a5",
    westmere: "20652",
    ivybridge: "306e4",
    haswell: "306c3",
    skylake: "50654",
    icelake: "606a6",
    turion: "60f81",
    phenom: "100f23",
    bulldozer: "600f12",
    zen: "800f11",
  });
});

test("a leaf beyond the highest answers as the highest on Intel and as zero on AMD", () => {
  const haswell = platform("haswell").cpu;
  expect(cpuid(haswell, 0x1234, 0)).toEqual(cpuid(haswell, 13, 0));
  expect(cpuid(haswell, 0x4000_0000, 0)).toEqual(cpuid(haswell, 13, 0));
  expect(cpuid(platform("zen").cpu, 0x1234, 0)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
});

test("vendors name themselves in EBX, EDX, ECX of leaf 0", () => {
  const text = (name: string): string => {
    const { ebx, ecx, edx } = cpuid(platform(name).cpu, 0, 0);
    return Buffer.from(new Uint32Array([ebx, edx, ecx]).buffer).toString("latin1");
  };
  expect([text("yonah"), text("turion")]).toEqual(["GenuineIntel", "AuthenticAMD"]);
});

test("the firmware decides IA32_FEATURE_CONTROL, and CPUID goes on reporting VMX", () => {
  const off = derivePlatform(platform("haswell"), { name: "kiosk", firmware: { vmx: "locked_off" } });
  expect(msr(platform("haswell"), "IA32_FEATURE_CONTROL")).toMatchObject({ reset: 5n, readOnly: true });
  expect(msr(off, "IA32_FEATURE_CONTROL")).toMatchObject({ reset: 1n, readOnly: true });
  const open = derivePlatform(off, { name: "lab", firmware: { vmx: "unlocked" } });
  expect(msr(open, "IA32_FEATURE_CONTROL")).toMatchObject({ reset: 0n, writable: 5n });
  expect(off.cpu.features).toContain("VMX");
});

test("the firmware decides VM_CR", () => {
  const reset = (svm: "enabled" | "disabled" | "disabled_locked") =>
    msr(derivePlatform(platform("zen"), { name: "k", firmware: { svm } }), "VM_CR")?.reset;
  expect([reset("enabled"), reset("disabled"), reset("disabled_locked")]).toEqual([0n, 0x10n, 0x18n]);
});

test("a platform without virtualization has no firmware setting and no MSR for it", () => {
  expect(platform("pentium4").firmware).toEqual({});
  expect(msr(platform("pentium4"), "IA32_FEATURE_CONTROL")).toBeUndefined();
  expect(msr(platform("athlon64"), "VM_CR")).toBeUndefined();
});

test("a derived platform keeps its base and changes what it says", () => {
  const small = derivePlatform(platform("skylake"), { name: "small", memoryBytes: 1 << 25, remove: ["SMAP"] });
  expect(small).toMatchObject({ name: "small", memoryBytes: 1 << 25, firmware: { vmx: "enabled" } });
  expect(small.cpu.features).not.toContain("SMAP");
  expect(derivePlatform(small, { name: "smaller" }).cpu.features).not.toContain("SMAP");
});

test("segment limits in 64-bit mode are an AMD option", () => {
  const writable = (name: string) => ((msr(platform(name), "IA32_EFER")?.writable ?? 0n) >> 13n) & 1n;
  expect([writable("athlon64"), writable("prescott"), writable("haswell")]).toEqual([1n, 0n, 0n]);
});

test("capability MSRs are there exactly on models with VMX, and tell the generations apart", () => {
  const withVmx = platformNames.filter((name) => msr(platform(name), "IA32_VMX_BASIC") !== undefined);
  expect(withVmx).toEqual(["yonah", "penryn", "nehalem", "westmere", "ivybridge", "haswell", "skylake", "icelake"]);
  const withEpt = platformNames.filter((name) => msr(platform(name), "IA32_VMX_EPT_VPID_CAP") !== undefined);
  expect(withEpt).toEqual(groupMembers("vtx2"));
});

test("IA32_MISC_ENABLE takes what kernels write, and keeps its read-only bits", () => {
  // Bits 0, 3, 11, 12, 16, 18, 22, 23, 34.
  const value = 0x4_00c5_1809n;
  const refused = (name: string) => {
    const register = msr(platform(name), "IA32_MISC_ENABLE");
    return register && (value ^ register.reset) & ~register.writable;
  };
  for (const name of ["yonah", "penryn", "nehalem", "westmere", "ivybridge", "haswell", "skylake", "icelake"]) {
    expect([name, refused(name)]).toEqual([name, 0n]);
  }
  // Northwood has neither MONITOR nor NX.
  expect(refused("pentium4")).toBe((1n << 34n) | (1n << 18n));
  expect(msr(platform("haswell"), "IA32_MISC_ENABLE")?.writable).toBe(0x4_00c5_0009n);
});
