// Records of branches, exceptions and interrupts, single step by branches, and both under LBR virtualization.

import { describe, expect, test } from "vitest";
import { Host, onMachine, place, type Vmm } from "./driver.js";

const debugctl = 0x1d9;
const records = { from: 0x1db, to: 0x1dc, exceptionFrom: 0x1dd, exceptionTo: 0x1de } as const;
const at = place.hostCode;
const vmrun = "0f 01 d8";
const cpuid = "0f a2";

const read = (v: Vmm): bigint[] => Object.values(records).map((msr) => v.machine.readMsr(msr) ?? -1n);

/** Host code under a value of DebugCtl. */
function recorded(hex: string, control: bigint, near?: (h: Host) => unknown): Host {
  const host = new Host();
  host.machine.writeMsr(debugctl, control);
  near?.(host);
  host.execute(hex);
  return host;
}

describe("DebugCtl.LBR", () => {
  const branches: readonly (readonly [
    title: string,
    code: string,
    from: bigint,
    to: bigint,
    near?: (h: Host) => unknown,
  ])[] = [
    ["JMP", "eb 01 90 90", 0n, 3n],
    ["JMP to the next instruction", "eb 00 90", 0n, 2n],
    ["JNZ that is taken", "85 c0 75 01 90 90", 2n, 5n],
    ["LOOP that is taken", "e2 01 90 90", 0n, 3n, (h) => h.machine.setRegister("RCX", 2n)],
    ["CALL", "e8 01 00 00 00 90 90", 0n, 6n],
    ["CALL and RET", "e8 01 00 00 00 f4 c3", 6n, 5n],
    ["JMP by register", "ff e3", 0n, place.operand - at, (h) => h.machine.writeU8(place.operand, 0xf4)],
  ];
  for (const [title, code, from, to, near] of branches) {
    test(`records ${title}`, () => {
      const host = recorded(code, 1n, (h) => (h.machine.setRegister("RBX", place.operand), near?.(h)));
      expect(read(host)).toEqual([at + from, at + to, 0n, 0n]);
    });
  }

  test("a branch that is not taken and plain code leave no record", () => {
    expect(read(recorded("31 c0 75 01 90 90", 1n))).toEqual([0n, 0n, 0n, 0n]);
  });

  test("without the bit nothing is recorded", () => {
    expect(read(recorded("eb 01 90 90", 0n))).toEqual([0n, 0n, 0n, 0n]);
  });

  test("an exception keeps the branch before it and is the last branch itself", () => {
    const host = recorded("eb 01 90 0f 0b", 1n);
    expect(read(host)).toEqual([at + 3n, place.handlers + 0x60n, at, at + 3n]);
  });

  test("#DB ends the recording and leaves the records", () => {
    const host = recorded("eb 01 90 f1 eb 00", 1n);
    expect(host.machine.readMsr(debugctl)).toBe(1n);
    const stepped = recorded("eb 01 90 90 90", 1n, (h) => h.machine.setRegister("RFLAGS", 0x102n));
    expect(stepped.machine.readMsr(debugctl)).toBe(0n);
    expect(read(stepped)).toEqual([at, at + 3n, 0n, 0n]);
  });

  test("the records are read-only", () => {
    const host = new Host();
    host.machine.setRegister("RCX", 0x1dbn);
    expect(host.execute("0f 30")).toMatchObject([{ subject: "#GP" }]);
  });
});

describe("DebugCtl.BTF", () => {
  test("single step stops at branches that are taken", () => {
    const run = (control: bigint): bigint | undefined => {
      const host = new Host();
      host.machine.writeMsr(debugctl, control);
      host.machine.setRegister("RFLAGS", 0x102n);
      const events = host.execute("90 90 75 01 90 eb 00 90");
      return events.find((e) => e.subject === "#DB")?.rip;
    };
    expect(run(0n)).toBe(at);
    expect(run(2n)).toBe(at + 2n);
  });
});

describe("LBR virtualization", () => {
  const jump = `eb 00 ${cpuid}`;
  const guest = (model: string, enabled: boolean): Host => {
    const host = new Host(model);
    host
      .intercept("CPUID")
      .code(jump)
      .write("VIRT_EXT", enabled ? 1 : 0);
    host.write("DBGCTL", 1).write("BR_FROM", 0x111).write("BR_TO", 0x222);
    host.write("LASTEXCPFROM", 0x333).write("LASTEXCPTO", 0x444);
    host.machine.writeMsr(debugctl, 0n);
    host.machine.writeMsr(records.exceptionFrom, 0x55n);
    host.execute(vmrun);
    return host;
  };
  const saved = (v: Vmm): bigint[] =>
    ["DBGCTL", "BR_FROM", "BR_TO", "LASTEXCPFROM", "LASTEXCPTO"].map((f) => v.read(f));

  // A level lets nobody write the records from outside.
  test.each(onMachine("the guest's registers come from the VMCB and go there, the host's come back"))("%s", () => {
    const host = guest("zen", true);
    expect(saved(host)).toEqual([1n, place.guestCode, place.guestCode + 2n, 0x333n, 0x444n]);
    expect(host.machine.readMsr(debugctl)).toBe(0n);
    expect(read(host)).toEqual([0n, 0n, 0x55n, 0n]);
  });

  test.each(onMachine("where the VMCB does not ask for it, or the model has none, the registers are shared"))(
    "%s",
    () => {
      for (const host of [guest("zen", false), guest("turion", true)]) {
        expect(saved(host)).toEqual([1n, 0x111n, 0x222n, 0x333n, 0x444n]);
        expect(read(host)).toEqual([0n, 0n, 0x55n, 0n]);
      }
      const shared = new Host();
      shared.intercept("CPUID").code(jump);
      shared.machine.writeMsr(debugctl, 1n);
      shared.execute(vmrun);
      expect(read(shared).slice(0, 2)).toEqual([place.guestCode, place.guestCode + 2n]);
    },
  );

  test("the guest reads and writes its own DebugCtl", () => {
    const host = new Host();
    host.intercept("CPUID").write("VIRT_EXT", 1).write("DBGCTL", 1);
    host.code(`b9 d9 01 00 00 0f 32 89 c3 b8 02 00 00 00 31 d2 0f 30 ${cpuid}`);
    host.execute(vmrun);
    expect(host.machine.register("RBX")).toBe(1n);
    expect(host.read("DBGCTL")).toBe(2n);
    expect(host.machine.readMsr(debugctl)).toBe(0n);
  });
});
