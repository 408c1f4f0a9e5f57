// Instructions whose stack access faults: they have done nothing, and the fault names them and the address.

import { describe, expect, test } from "vitest";
import { code, codeAddress, enterRing3, newMachine, prepare, runToStop, type Mode } from "./support.js";

interface Row {
  readonly title: string;
  readonly mode: Mode;
  readonly code: Uint8Array;
  /** Offset of the faulting instruction. */
  readonly saved: bigint;
  readonly stack: bigint;
  readonly cr2: bigint;
}

// Intel SDM vol. 2, "CALL", "PUSH", "POPA": a fault leaves (E)SP as it was; vol. 3A, "Interrupt 14 - Page-Fault
// Exception": the saved CS and EIP are those of the instruction, and CR2 is the address that it could not use.
const rows: readonly Row[] = [
  {
    title: "CALL relative",
    mode: "prot32",
    code: code("mov esp, 0x5000004 | call $+0x20", "bc04000005e81b000000"),
    saved: 5n,
    stack: 0x500_0004n,
    cr2: 0x500_0000n,
  },
  {
    title: "CALL relative",
    mode: "long64",
    code: code("mov esp, 0x5000008 | call $+0x20", "bc08000005e81b000000"),
    saved: 5n,
    stack: 0x500_0008n,
    cr2: 0x500_0000n,
  },
  {
    title: "CALL relative with a 16-bit operand",
    mode: "prot32",
    code: code("mov esp, 0x5000004 | o16 call 0x20", "bc0400000566e80700"),
    saved: 5n,
    stack: 0x500_0004n,
    cr2: 0x500_0002n,
  },
  {
    title: "CALL through a register",
    mode: "long64",
    code: code("mov eax, 0x100000 | mov esp, 0x5000008 | call rax", "b800001000bc08000005ffd0"),
    saved: 10n,
    stack: 0x500_0008n,
    cr2: 0x500_0000n,
  },
  {
    title: "POPAD of an absent page",
    mode: "prot32",
    code: code("mov esp, 0x5000000 | popa", "bc0000000561"),
    saved: 5n,
    stack: 0x500_0000n,
    cr2: 0x500_0000n,
  },
  {
    title: "POPAD that runs into an absent page",
    mode: "prot32",
    code: code("mov esp, 0xfffff0 | popa", "bcf0ffff0061"),
    saved: 5n,
    stack: 0xff_fff0n,
    cr2: 0x100_0000n,
  },
];

// The 16-bit CALL goes to 0x7 + 9, which lies in no mapped code, but the push is what faults: targets are checked
// against the limit of CS only.
describe.each(rows)("$mode: $title", (row) => {
  test("saves its own RIP and reports the address that it needed", () => {
    const machine = newMachine();
    prepare(machine, row.code, row.mode);
    enterRing3(machine, row.mode);
    expect(runToStop(machine).stop).toEqual({ kind: "point", index: 14 });
    expect(machine.register("CR2")).toBe(row.cr2);
    const slot = row.mode === "long64" ? 8n : 4n;
    const top = machine.register("RSP");
    const read = (index: bigint): bigint => BigInt(machine.readU32(top + index * slot));
    expect(read(1n)).toBe(codeAddress + row.saved);
    expect(read(4n)).toBe(row.stack);
  });
});
