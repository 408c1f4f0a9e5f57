// The command line as people meet it: messages, near names, exit statuses.

import { expect, test } from "vitest";
import { useCli } from "./cli.js";

const cli = useCli();

test("platforms lists every platform with its group", () => {
  const { status, out } = cli.trapline("platforms");
  expect(status).toBe(0);
  expect(out.split("\n").slice(0, 2)).toEqual([
    "name        group       vendor processor",
    "pentium4    unassisted  intel  Pentium 4 Northwood (2002): 32-bit, no hardware assist",
  ]);
  expect(out.trimEnd().split("\n")).toHaveLength(16);
});

test("platforms NAME shows features, CPUID and MSRs", () => {
  const { status, out } = cli.trapline("platforms", "yonah");
  expect(status).toBe(0);
  expect(out).toContain("firmware           vmx enabled");
  expect(out).toMatch(/^00000000 +\w{8} 756e6547 6c65746e 49656e69$/m);
  expect(out).toContain("00000480 IA32_VMX_BASIC");
});

test("platforms --json is data", () => {
  const { out } = cli.trapline("platforms", "zen", "--json");
  expect(JSON.parse(out)).toMatchObject({ name: "zen", group: "svm2", firmware: { svm: "enabled" } });
});

test.each([
  ["a platform", ["platforms", "haswel"], "no platform is called haswel: did you mean haswell?"],
  ["a command", ["platfroms"], "Did you mean platforms?"],
  ["an option", ["run", "--platfrom", "zen"], "Did you mean --platform?"],
  ["a file", ["run", "tests/neting.trap"], "did you mean tests/nesting.trap?"],
  ["a platform to run on", ["run", "tests", "--platform", "haswel"], "did you mean haswell?"],
])("an unknown name of %s is refused with what was meant", (_what, args, message) => {
  cli.write("tests/nesting.trap", "");
  const { status, err } = cli.trapline(...args);
  expect(status).toBe(2);
  expect(err).toContain(message);
  expect(err).not.toContain("    at ");
});

test("--platform takes names separated by commas, and several times", () => {
  cli.write("two/a.trap", 'test "t" {\n  on all\n  guest long64 {\n    hlt => halt\n  }\n}\n');
  const passed = (...args: readonly string[]): string => cli.trapline("run", "two", ...args).out.trimEnd();
  expect(passed("--platform", "haswell,zen")).toContain("2 passed");
  expect(passed("--platform", "haswell, zen", "-p", "bulldozer")).toContain("3 passed");
  const { status, err } = cli.trapline("run", "two", "--platform", "zen,haswel");
  expect(status).toBe(2);
  expect(err).toContain("did you mean haswell?");
});

test("check reports diagnostics and counts them", () => {
  cli.write("wrong/a.trap", 'test "t" {\n  on haswell\n  guest long64 {\n    movv eax, 1\n    hlt => halt\n  }\n}\n');
  const { status, out } = cli.trapline("check", "wrong");
  expect(status).toBe(2);
  expect(out).toContain("at wrong/a.trap:4:5");
  expect(out).toContain("did you mean mov");
  expect(out.trimEnd().split("\n").at(-1)).toBe("1 file, 1 error, 0 warnings");
});

test("check accepts a right file and runs nothing", () => {
  cli.write("right/a.trap", 'test "t" {\n  on haswell\n  guest long64 {\n    hlt => halt\n  }\n}\n');
  expect(cli.trapline("check", "right")).toEqual({ status: 0, out: "1 file, 0 errors, 0 warnings\n", err: "" });
});

test("a folder without tests is an error", () => {
  cli.write("empty/readme.txt", "");
  const { status, err } = cli.trapline("run", "empty");
  expect([status, err]).toEqual([2, "trapline: no test file (*.trap) at empty\n"]);
});

test.each([
  [
    "a file that is no kernel",
    ["boot", "kernel.bin"],
    "no Multiboot header in its first 8 KiB (raw bytes are booted with --raw",
  ],
  ["a memory size that is none", ["boot", "kernel.bin", "--memory", "lots"], "--memory takes a number"],
  ["an entry that is none", ["boot", "--raw", "kernel.bin", "--entry", "7c000:0"], "such as F000:FFF0, not 7c000:0"],
  ["a mode that is none", ["boot", "--raw", "kernel.bin", "--mode", "real"], "--mode takes real16, prot32, long64"],
])("boot refuses %s", (_what, args, message) => {
  cli.write("kernel.bin", new Uint8Array(64));
  const { status, err } = cli.trapline(...args);
  expect(status).toBe(2);
  expect(err).toContain(message);
});
