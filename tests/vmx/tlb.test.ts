// What stays cached across VM entries and exits: nothing that something it depends on no longer allows.

import { describe, expect, test } from "vitest";
import { vmcsEncoding } from "../../src/isa/index.js";
import { place, Vmm } from "./driver.js";
import { Root } from "./root.js";

const data = 0x30_0000n;
/** Entry of a page directory that maps the two megabytes of `data`. */
const directoryEntry = (tables: bigint): bigint => tables + 0x2000n + 8n;

const load = "8a 00"; // mov al, [rax]
const store = "88 00"; // mov [rax], al

describe("a guest with a VPID", () => {
  /** Runs some instructions at the guest's start and gives the exit, CPUID's where nothing comes before. */
  function round(vmm: Vmm, code: string) {
    vmm.machine.setRegister("RAX", data);
    vmm.write("GUEST_RIP", place.guestCode).code(`${code} 0f a2`).run();
    return vmm.exit();
  }
  const tagged = (): Vmm =>
    new Vmm().set("ACTIVATE_SECONDARY_CONTROLS", "ENABLE_VPID").write("EXCEPTION_BITMAP", 0x4002);

  test("writes no read-only page where CR0.WP became 1, whatever else changed with it", () => {
    const vmm = tagged();
    vmm.machine.writeU64(directoryEntry(place.guestTables), 0x20_0000n | 0xe5n);
    expect(round(vmm, store).subject).toBe("CPUID");
    vmm.write("GUEST_CR0", 0x8001_0031n).write("GUEST_CR4", 0x2120n); // CR0.WP and CR4.PCE
    expect(round(vmm, store)).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 14n } });
  });

  test("meets a data breakpoint on a page that its last run has used", () => {
    const vmm = tagged();
    vmm.set("ENTRY_LOAD_DEBUG_CONTROLS").machine.setRegister("DR0", data);
    expect(round(vmm, load).subject).toBe("CPUID");
    vmm.write("GUEST_DR7", 0x3_0401n); // breakpoint 0: reads and writes of one byte
    expect(round(vmm, load)).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 1n } });
  });
});

test("a host that forgot its translations does not find them again after an entry that failed", () => {
  const root = new Root();
  root.set("ACTIVATE_SECONDARY_CONTROLS", "ENABLE_VPID").code("0f a2");
  const other = 0x40_0000n;
  root.machine.writeU8(data, 0x11);
  root.machine.writeU8(other + (data & 0x1f_ffffn), 0x22);
  root
    .register("RSI", data)
    .register("RDI", directoryEntry(place.hostTables))
    .register("RDX", other | 0xe7n);
  root.register("RCX", BigInt(vmcsEncoding("GUEST_RIP"))).register("RBP", 1n << 63n);
  root.register("R15", 0n).register("RBX", 0n);
  // HOST_RIP counts in R15 where it goes on: behind the guest's exit, then behind the entry that failed.
  const write = (offset: bigint, ...code: string[]): void => {
    root.machine.writePhysical(place.hostCode + 0x800n + offset, Buffer.from(code.join("").replaceAll(" ", ""), "hex"));
  };
  write(0n, "49 ff c7", "49 83 ff 01", "75 17"); // inc r15; cmp r15, 1; jne 20h
  const readsBl = "8a 1e";
  const mapsOther = "48 89 17"; // mov [rdi], rdx
  const forgets = "0f 20 d8 0f 22 d8"; // CR3 to itself
  const entersBadly = "0f 79 cd 0f 01 c3"; // vmwrite rcx, rbp; vmresume
  write(9n, readsBl, mapsOther, forgets, entersBadly);
  write(0x20n, "8a 3e", "f4"); // mov bh, [rsi]
  root.execute("8a 06 0f 01 c2"); // mov al, [rsi]; vmlaunch
  expect(root.machine.register("RBX") & 0xffffn).toBe(0x2211n);
});
