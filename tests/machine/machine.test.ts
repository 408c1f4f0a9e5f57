// The machine around the core: points, budget, events, reset, self-modifying code, devices, translation.

import { expect, test } from "vitest";
import { layout, type Machine } from "../../src/machine/index.js";
import { code, codeAddress, newMachine, prepare, runToStop } from "../core/support.js";

test("a stop point ends the run before the instruction, and does not stop again when the run goes on", () => {
  const machine = newMachine();
  prepare(machine, code("inc eax | inc eax | inc eax | jmp $", "ffc0ffc0ffc0ebfe"), "long64");
  machine.setPoints([{ address: codeAddress + 2n, action: "stop", index: 7 }]);
  expect(machine.run(100)).toEqual({ kind: "point", index: 7 });
  expect(machine.register("RAX")).toBe(1n);
  expect(machine.run(2)).toEqual({ kind: "budget-spent" });
  expect(machine.register("RAX")).toBe(3n);
});

test("a loop meets its stop point in every round", () => {
  const machine = newMachine();
  prepare(machine, code("l: inc eax | jmp l", "ffc0ebfc"), "long64");
  machine.setPoints([{ address: codeAddress, action: "stop", index: 1 }]);
  for (let round = 0n; round < 5n; round++) {
    expect(machine.run(100)).toEqual({ kind: "point", index: 1 });
    expect(machine.register("RAX")).toBe(round);
  }
});

test("after a stop the host may resume elsewhere, also at another stop point", () => {
  const machine = newMachine();
  prepare(machine, code("nop | nop | inc eax | jmp $", "9090ffc0ebfe"), "long64");
  machine.setPoints([
    { address: codeAddress, action: "stop", index: 1 },
    { address: codeAddress + 1n, action: "stop", index: 2 },
  ]);
  expect(machine.run(100)).toEqual({ kind: "point", index: 1 });
  machine.setRegister("RIP", codeAddress + 1n);
  expect(machine.run(100)).toEqual({ kind: "point", index: 2 });
  expect(machine.run(2).kind).toBe("budget-spent");
  expect(machine.register("RAX")).toBe(1n);
});

test("visits append in order, several at one address all, and the first stop there is reported", () => {
  const machine = newMachine();
  prepare(machine, code("nop | hlt", "90f4"), "long64");
  machine.setPoints([
    { address: codeAddress, action: "visit", index: 3 },
    { address: codeAddress, action: "visit", index: 4 },
    { address: codeAddress + 1n, action: "visit", index: 5 },
    { address: codeAddress + 1n, action: "stop", index: 6 },
    { address: codeAddress + 1n, action: "stop", index: 9 },
  ]);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 6 });
  expect(events.map((event) => [event.a, event.retired])).toEqual([
    [3n, 0n],
    [4n, 0n],
    [5n, 1n],
  ]);
});

test("a budget is exact", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "times 20 inc eax | jmp $",
      "ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ffc0ebfe",
    ),
    "long64",
  );
  expect(machine.run(7)).toEqual({ kind: "budget-spent" });
  expect(machine.register("RAX")).toBe(7n);
  expect(machine.retired).toBe(7n);
  machine.run(1);
  expect(machine.register("RAX")).toBe(8n);
});

test("the ring stops the run when it is full and nothing is lost", () => {
  const machine = newMachine();
  prepare(machine, code("mov ecx, 10000 | l: dec ecx | jnz l | hlt", "b910270000ffc975fcf4"), "long64");
  machine.setPoints([{ address: codeAddress + 5n, action: "visit", index: 1 }]);
  let visits = 0;
  let full = 0;
  for (;;) {
    const { stop, events } = runToStop(machine, 1_000_000);
    visits += events.filter((event) => event.kind === 1).length;
    if (stop.kind !== "events-full") break;
    full++;
  }
  expect(visits).toBe(10_000);
  expect(full).toBeGreaterThan(1);
});

test("code that writes into its own trace executes what it wrote", () => {
  const machine = newMachine();
  // The store turns the second INC EAX into INC EBX (FF C0 to FF C3).
  prepare(
    machine,
    code("mov byte [rel t + 1], 0xc3 | inc eax | t: inc eax | hlt", "c60503000000c3ffc0ffc0f4"),
    "long64",
  );
  runToStop(machine);
  expect(machine.register("RAX")).toBe(1n);
  expect(machine.register("RBX")).toBe(1n);
});

test("a loop that patches itself sees each patch", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov ecx, 5 | l: inc dword [rel t + 1] | t: mov eax, 0 | add ebx, eax | dec ecx | jnz l | hlt",
      "b905000000ff0501000000b80000000001c3ffc975eff4",
    ),
    "long64",
  );
  runToStop(machine);
  expect(machine.register("RBX")).toBe(15n);
});

test("an instruction that crosses a page is fetched from both", () => {
  const machine = newMachine();
  prepare(machine, code("jmp 0x100ffc", "e9f70f0000"), "long64");
  machine.writePhysical(0x10_0ffcn, code("mov rax, 0x1122334455667788; hlt", "48b8887766554433221" + "1f4"));
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.register("RAX")).toBe(0x1122_3344_5566_7788n);
});

test("a load and a store that cross a page touch both", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov rax, 0x1122334455667788 | mov [0x200ffd + 0x100000], rax | mov rbx, [0x200ffd + 0x100000] | hlt",
      "48b8887766554433221148890425fd0f3000488b1c25fd0f3000f4",
    ),
    "long64",
  );
  runToStop(machine);
  expect(machine.register("RBX")).toBe(0x1122_3344_5566_7788n);
  expect(machine.readU8(0x30_0ffdn)).toBe(0x88);
  expect(machine.readU8(0x30_1004n)).toBe(0x11);
});

test("reset leaves nothing over: memory, registers, events and time as in a new machine", () => {
  const used = newMachine();
  prepare(
    used,
    code(
      "mov rax, 0x1234 | mov [0x300000], rax | push rax | mov ecx, 0xc0000082 | wrmsr | fs nop | ud2",
      "b834120000488904250000300050b9820000c00f3064900f0b",
    ),
    "long64",
  );
  runToStop(used);
  used.reset();
  const fresh = newMachine();
  expect(Buffer.compare(used.readPhysical(0n, used.memoryBytes), fresh.readPhysical(0n, fresh.memoryBytes))).toBe(0);
  for (const name of ["RAX", "RSP", "RIP", "RFLAGS", "CR0", "CR2", "CR3", "CR4", "EFER", "DR6", "DR7", "GDTR.BASE"]) {
    expect([name, used.register(name)]).toEqual([name, fresh.register(name)]);
  }
  expect(used.segment("CS")).toEqual(fresh.segment("CS"));
  expect(used.readMsr(0xc000_0082)).toBe(fresh.readMsr(0xc000_0082));
  expect(used.retired).toBe(0n);
  let events = 0;
  used.drainEvents(() => events++);
  expect(events).toBe(0);
});

test("the same program runs the same on a machine that ran another one before", () => {
  const program = code(
    "mov ecx, 100 | l: imul eax, ecx, 77 | add [0x300000], eax | loop l | mov ebx, [0x300000] | ud2",
    "b9640000006bc14d01042500003000e2f48b1c25000030000f0b",
  );
  const first = newMachine();
  prepare(first, program, "long64");
  const expected = runToStop(first).events;
  const second = newMachine();
  prepare(second, code("mov dword [0x300000], 5 | mov eax, [0x7000000]", "c7050000300005000000a100000007"), "prot32");
  runToStop(second);
  prepare(second, program, "long64");
  expect(runToStop(second).events).toEqual(expected);
  expect(second.register("RBX")).toBe(first.register("RBX"));
});

test("ports reach their device with width and value; others read as ones", () => {
  const machine = newMachine();
  const written: number[][] = [];
  machine.attach({
    name: "probe",
    ports: [[0x80, 0x81]],
    readPort: (port, bytes) => port * 16 + bytes,
    writePort: (port, value, bytes) => written.push([port, value, bytes]),
    reset: () => undefined,
  });
  prepare(
    machine,
    code(
      "mov eax, 0x8877aabb | out 0x80, eax | mov dx, 0x81 | out dx, al | in ax, 0x80 | mov ebx, eax | in al, 0x90 | hlt",
      "b8bbaa7788e78066ba8100ee66e58089c3e490f4",
    ),
    "long64",
  );
  runToStop(machine);
  expect(written).toEqual([
    [0x80, 0x8877_aabb, 4],
    [0x81, 0xbb, 1],
  ]);
  expect(machine.register("RBX")).toBe(0x8877_0802n);
  expect(machine.register("RAX") & 0xffn).toBe(0xffn);
});

test("memory of a device is read and written in whole accesses", () => {
  const machine = newMachine();
  const seen: string[] = [];
  machine.attach({
    name: "window",
    memory: [[0xf0_0000, 0xf0_0fff]],
    readMemory: (address, bytes) => {
      seen.push(`read ${address.toString(16)} ${bytes}`);
      return 0x1122_3344_5566_7788n;
    },
    writeMemory: (address, value, bytes) => {
      seen.push(`write ${address.toString(16)} ${value.toString(16)} ${bytes}`);
    },
    reset: () => undefined,
  });
  prepare(
    machine,
    code(
      "mov rax, [0xf00010] | mov [0xf00020], ax | or dword [0xf00030], 1 | hlt",
      "488b04251000f000668904252000f000830c253000f00001f4",
    ),
    "long64",
  );
  runToStop(machine);
  expect(machine.register("RAX")).toBe(0x1122_3344_5566_7788n);
  expect(seen).toEqual(["read f00010 8", "write f00020 7788 2", "read f00030 4", "write f00030 55667789 4"]);
});

test("translation follows the page tables, sets no accessed flags and knows what is not mapped", () => {
  const machine = newMachine();
  prepare(machine, code("hlt", "f4"), "long64");
  machine.writeU64(0x21_2000n + 8n, 0n);
  expect(machine.translate(0x12_3456n)).toBe(0x12_3456n);
  expect(machine.translate(0x20_0000n)).toBeUndefined();
  expect(machine.readU64(0x21_2000n) & 0x60n).toBe(0n);
});

test("INTR is taken when IF allows, one instruction after STI, and wakes from HLT", () => {
  const machine = newMachine();
  machine.attach({ name: "controller", acknowledge: () => 9, reset: () => undefined });
  prepare(machine, code("inc eax | sti | inc eax | inc eax | hlt", "ffc0fbffc0ffc0f4"), "long64");
  machine.setInterruptLine(true);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 9 });
  expect(machine.register("RAX")).toBe(2n);
  expect(events.map((event) => [event.kind, event.code])).toEqual([[3, 9]]);
});

test("a machine that becomes another platform's is as one made for it", () => {
  const made = newMachine("turion");
  const changed = newMachine("haswell");
  prepare(changed, code("inc eax | jmp $", "ffc0ebfe"), "long64");
  expect(changed.run(10).kind).toBe("budget-spent");
  changed.become(made.platform);
  const { cpuLayout: cpu } = layout;
  const seen = (machine: Machine) => ({
    platform: machine.platform.name,
    models: Buffer.from(machine.view.buffer, layout.CPUID_BASE, layout.CPUID_BYTES).toString("hex"),
    msrs: Buffer.from(machine.view.buffer, layout.MSRS_BASE, layout.MSRS_BYTES).toString("hex"),
    words: [cpu.vendor, cpu.eferAllowed, cpu.cr4Allowed, cpu.features0, cpu.features1, cpu.features2].map(
      ({ offset }) => machine.view.getUint32(layout.CPU_BASE + offset, true),
    ),
    registers: ["RAX", "RDX", "RIP", "CR0", "CR3", "CR4", "EFER"].map((name) => machine.register(name)),
    code: machine.readPhysical(codeAddress, 16),
  });
  expect(seen(changed)).toEqual(seen(made));
});
