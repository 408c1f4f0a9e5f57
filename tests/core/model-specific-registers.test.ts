// MSRs that move other state (Intel SDM vol. 3B, "IA32_TSC_ADJUST MSR Support"), and what of EFER is not carried out.

import { expect, test } from "vitest";
import type { Machine } from "../../src/machine/index.js";
import { code, newMachine, prepare, runToStop } from "./support.js";

function run(program: Uint8Array, platform = "haswell"): Machine {
  const machine = newMachine(platform);
  prepare(machine, program, "long64");
  expect(runToStop(machine).stop.kind).toBe("halted");
  return machine;
}

test("what WRMSR adds to the time-stamp counter is added to IA32_TSC_ADJUST", () => {
  const machine = run(
    code(
      "mov ecx, 0x10 | xor edx, edx | mov eax, 0x5000 | rdmsr | mov esi, eax | mov eax, 0x5000 | wrmsr | rdmsr | mov edi, eax | mov ecx, 0x3b | rdmsr | hlt",
      "b91000000031d2b8005000000f3289c6b8005000000f300f3289c7b93b0000000f32f4",
    ),
  );
  const [before, after, adjust] = (["RSI", "RDI", "RAX"] as const).map((name) => Number(machine.register(name)));
  expect(after).toBe(0x5001);
  // The counter stood three instructions after it was read when the write came.
  expect(adjust).toBe(0x5000 - ((before ?? 0) + 3));
});

test("what WRMSR adds to IA32_TSC_ADJUST is added to the time-stamp counter", () => {
  const machine = run(
    code(
      "mov ecx, 0x3b | xor edx, edx | mov eax, 0x7000 | wrmsr | rdtsc | mov esi, eax | mov ecx, 0x3b | rdmsr | hlt",
      "b93b00000031d2b8007000000f300f3189c6b93b0000000f32f4",
    ),
  );
  expect(machine.register("RAX")).toBe(0x7000n);
  expect(machine.register("RSI")).toBe(0x7004n);
});

test.each([
  ["phenom", "unsupported"],
  ["haswell", "point"],
])("WRMSR that sets EFER.LMSLE on %s ends as %s", (platform, end) => {
  const machine = newMachine(platform);
  const program = code("mov ecx, 0xc0000080 | rdmsr | or eax, 0x2000 | wrmsr", "b9800000c00f320d002000000f30");
  prepare(machine, program, "long64");
  expect(runToStop(machine).stop.kind).toBe(end);
});
