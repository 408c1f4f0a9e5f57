// `trapline mutate`, as people use it: which faults a suite notices, which survive, and what cannot be measured.

import { expect, test } from "vitest";
import { useCli } from "./cli.js";

const cli = useCli();

const suite = `test "CPUID goes on behind it" {
  on  haswell, zen
  vmm hardware

  guest prot32 {
    cpuid               => exit CPUID
    hlt                 => halt
  }
}
`;

test("a fault is noticed by the test that fails under it, and the exit status is 0", () => {
  cli.write("mine.trap", suite);
  const { status, out } = cli.trapline("mutate", "mine.trap", "--fault", "rip-not-advanced");
  const noticed = "noticed   rip-not-advanced  by mine.trap > CPUID goes on behind it  [haswell, vmm hardware]";
  expect(out).toBe(`${noticed}\n1 fault: 1 noticed, 0 survive\n`);
  expect(status).toBe(0);
});

test("a fault that no test notices is told with its rule, and the exit status is 1", () => {
  cli.write("mine.trap", suite);
  const { status, out } = cli.trapline("mutate", "mine.trap", "--fault", "rip-not-advanced,shadow-kept,cli-lost");
  expect(out.split("\n").slice(1)).toEqual([
    "SURVIVES  shadow-kept: the VMM leaves the shadow of STI or MOV SS when it moves RIP past an instruction",
    '   models  Intel SDM vol. 3C, "Interruptibility State"; AMD APM vol. 2, "Interrupt Shadows": one instruction long',
    "   where   hardware; 1 test saw nothing",
    "SURVIVES  cli-lost: the VMM carries out CLI without effect",
    `   models  Intel SDM vol. 2A, "CLI"; IF of a deprivileged kernel is the VMM's to keep`,
    "   where   trap_and_emulate, binary_translation; no test runs the VMM that it makes wrong",
    "3 faults: 1 noticed, 2 survive",
    "",
  ]);
  expect(status).toBe(1);
});

test("with --all every test that notices is named, with --json what it saw", () => {
  cli.write("mine.trap", `${suite}${suite.replace("goes on", "goes on again")}`);
  const all = cli.trapline("mutate", "mine.trap", "--fault", "rip-not-advanced", "--all", "-p", "zen");
  expect(all.out).toContain(
    "noticed   rip-not-advanced  by 2 of 2 tests\n   mine.trap > CPUID goes on behind it  [zen",
  );
  const json = cli.trapline("mutate", "mine.trap", "--fault", "rip-not-advanced", "--json");
  const report = JSON.parse(json.out) as { readonly status: number; readonly faults: readonly object[] };
  expect(report).toMatchObject({
    status: 0,
    faults: [{ name: "rip-not-advanced", outcome: "noticed", concerned: 2, noticed: [{ platform: "haswell" }] }],
  });
});

test("a suite that fails without any fault, or holds no test, is not measured", () => {
  cli.write("mine.trap", suite.replace("exit CPUID", "exit HLT"));
  const failing = cli.trapline("mutate", "mine.trap");
  expect(failing.err).toContain("nothing is measured: 2 cells fail without any fault; see trapline run");
  expect([failing.status, failing.out]).toEqual([2, ""]);
  cli.write("mine.trap", suite);
  const none = cli.trapline("mutate", "mine.trap", "-p", "penryn");
  expect([none.status, none.out]).toEqual([2, ""]);
});

test("a fault of the wrong name is refused with the nearest one", () => {
  cli.write("mine.trap", suite);
  const { status, err } = cli.trapline("mutate", "mine.trap", "--fault", "rip-not-advance");
  expect(err).toContain("no fault is called rip-not-advance: did you mean rip-not-advanced?");
  expect(status).toBe(2);
});
