// AVIC: the guest's local APIC in its backing page, IPIs through the tables, interrupts without the hypervisor.

import { describe, expect, test } from "vitest";
import { place, Vmm } from "./driver.js";

const avic = 0x8000_0000n;
const apicBase = 0xfee0_0000n;
const backing = 0x50_0000n;
const other = 0x50_1000n;
const physicalTable = 0x50_2000n;
const logicalTable = 0x50_3000n;
const cpuid = "0f a2";
const valid = 1n << 63n;
const running = 1n << 62n;

/** A guest whose local APIC is virtual: page FEE0_0000H of the guest is mapped, RBX has its address. */
function guest(code: string, change: (v: Vmm) => unknown = () => undefined): Vmm {
  const vmm = new Vmm().withNestedPaging().intercept("CPUID").code(code).register("RBX", apicBase);
  const m = vmm.machine;
  // The last page directory of the first 4 GiB, in both kinds of tables.
  for (const tables of [place.nested, place.guestTables]) {
    m.writeU64(tables + 0x1000n + 3n * 8n, (tables + 0x4000n) | 7n);
    m.writeU64(tables + 0x4000n + 0x1f7n * 8n, 0xfee0_00e7n);
  }
  vmm.write("VINTR", avic).write("AVIC_APIC_BAR", apicBase).write("AVIC_BACKING_PAGE", backing);
  vmm.write("AVIC_LOGICAL_TABLE", logicalTable).write("AVIC_PHYSICAL_TABLE", physicalTable | 1n);
  m.writeU64(physicalTable, valid | running | backing);
  m.writeU64(physicalTable + 8n, valid | other);
  change(vmm);
  vmm.run();
  return vmm;
}

/** MOV dword [rbx + offset], value. */
function store(offset: number, value: number): string {
  return `c7 83 ${little(offset)} ${little(value)}`;
}

/** MOV ecx, [rbx + offset]. */
const fetch = (offset: number): string => `8b 8b ${little(offset)}`;

function little(value: number): string {
  return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, "0")).join(" ");
}

const word = (v: Vmm, offset: bigint, page = backing): number => v.machine.readU32(page + offset);
const exit = (v: Vmm): unknown => ({
  code: v.read("EXITCODE"),
  info1: v.read("EXITINFO1"),
  info2: v.read("EXITINFO2"),
});

describe("registers of the backing page", () => {
  const readable = [0x20, 0x30, 0x80, 0xd0, 0xe0, 0xf0, 0x100, 0x170, 0x180, 0x200, 0x270, 0x280, 0x300, 0x310,
    0x320, 0x370, 0x380, 0x3e0]; // prettier-ignore
  for (const offset of readable) {
    test(`${offset.toString(16)}H is read there`, () => {
      const vmm = guest(`${fetch(offset)} ${cpuid}`, (v) => v.machine.writeU32(backing + BigInt(offset), 0x10));
      expect(vmm.exit().subject).toBe("CPUID");
      expect(vmm.machine.register("RCX")).toBe(0x10n);
    });
  }

  for (const offset of [0x90, 0xb0, 0xc0, 0x390, 0x3f0, 0x40]) {
    test(`reading ${offset.toString(16)}H exits before it happens`, () => {
      const vmm = guest(`${fetch(offset)} ${cpuid}`);
      expect(exit(vmm)).toEqual({ code: 0x402n, info1: BigInt(offset), info2: 0n });
      expect(vmm.read("RIP")).toBe(place.guestCode);
    });
  }

  for (const offset of [0x20, 0xc0, 0xd0, 0xe0, 0xf0, 0x280, 0x320, 0x350, 0x380, 0x3e0]) {
    test(`writing ${offset.toString(16)}H exits when it has happened`, () => {
      const vmm = guest(`${store(offset, 0x1234)} ${cpuid}`);
      expect(exit(vmm)).toEqual({ code: 0x402n, info1: (1n << 32n) | BigInt(offset), info2: 0n });
      expect(word(vmm, BigInt(offset))).toBe(0x1234);
      expect(vmm.read("RIP")).toBe(place.guestCode + 10n);
    });
  }

  for (const offset of [0x30, 0x90, 0xa0, 0x100, 0x180, 0x200, 0x390, 0x3f0]) {
    test(`writing ${offset.toString(16)}H exits before it happens`, () => {
      const vmm = guest(`${store(offset, 0x1234)} ${cpuid}`);
      expect(exit(vmm)).toEqual({ code: 0x402n, info1: (1n << 32n) | BigInt(offset), info2: 0n });
      expect(word(vmm, BigInt(offset))).not.toBe(0x1234);
      expect(vmm.read("RIP")).toBe(place.guestCode);
    });
  }

  test("the task priority is written without an exit, and is CR8", () => {
    const vmm = guest(`${store(0x80, 0x50)} 44 0f 20 c1 ${cpuid}`);
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.machine.register("RCX")).toBe(5n);
    expect(word(vmm, 0xa0n)).toBe(0x50);
    const byCr8 = guest(`b9 07 00 00 00 44 0f 22 c1 ${cpuid}`);
    expect(word(byCr8, 0x80n)).toBe(0x70);
    expect(byCr8.machine.register("CR8")).toBe(0n);
  });

  test("the nested tables decide first", () => {
    const vmm = guest(fetch(0x20), (v) => v.machine.writeU64(place.nested + 0x4000n + 0x1f7n * 8n, 0n));
    expect(vmm.exit().subject).toBe("NPF");
  });

  test("a page that is mapped to its backing page is no plain memory either", () => {
    const vmm = guest(`${fetch(0x20)} ${fetch(0x390)}`, (v) => {
      v.write("AVIC_BACKING_PAGE", 0x40_0000n);
      v.machine.writeU64(place.nested + 0x4000n + 0x1f7n * 8n, 0x40_00e7n);
    });
    expect(vmm.exit().subject).toBe("AVIC_NOACCEL");
  });

  test("without the bit, and on a model without AVIC, the page is what the tables say", () => {
    const off = guest(`${store(0x30, 0x1234)} ${cpuid}`, (v) => {
      v.write("VINTR", 0);
      v.machine.writeU64(place.nested + 0x4000n + 0x1f7n * 8n, 0x40_00e7n);
    });
    expect(off.exit().subject).toBe("CPUID");
    expect(off.machine.readU32(0x40_0030n)).toBe(0x1234);
  });
});

describe("interrupts of the backing page", () => {
  const pending = (v: Vmm, vector: number): unknown =>
    v.machine.writeU32(backing + 0x200n + BigInt(vector >> 5) * 16n, 1 << (vector & 31));
  const story = (v: Vmm): string[] => v.events().map((e) => `${e.kind} ${e.subject ?? ""}`.trim());

  test("one that is pending is taken at VMRUN and moves to ISR", () => {
    const vmm = guest("90", (v) => (pending(v, 0x31), v.intercept("HLT").write("RFLAGS", 0x202)));
    expect(story(vmm)).toEqual(["enter", "interrupt INTR", "exit HLT"]);
    expect(word(vmm, 0x210n)).toBe(0);
    expect(word(vmm, 0x110n)).toBe(1 << 0x11);
    expect(word(vmm, 0xa0n)).toBe(0x30);
  });

  test("it waits for IF, for the priority, and for GIF", () => {
    const closed = guest(cpuid, (v) => pending(v, 0x31));
    expect(story(closed)).toEqual(["enter", "exit CPUID"]);
    const masked = guest(cpuid, (v) => {
      pending(v, 0x31);
      v.machine.writeU32(backing + 0x80n, 0x30);
      v.write("RFLAGS", 0x202);
    });
    expect(story(masked)).toEqual(["enter", "exit CPUID"]);
    const opened = guest(`fb 90 90`, (v) => (pending(v, 0x31), v.intercept("HLT")));
    expect(story(opened)).toEqual(["enter", "interrupt INTR", "exit HLT"]);
  });

  test("lowering the priority lets it through", () => {
    const vmm = guest(`${store(0x80, 0)} 90`, (v) => {
      pending(v, 0x31);
      v.machine.writeU32(backing + 0x80n, 0x30);
      v.intercept("HLT").write("RFLAGS", 0x202);
    });
    expect(story(vmm)).toEqual(["enter", "interrupt INTR", "exit HLT"]);
  });

  test("end of interrupt clears the highest vector in service; a level-triggered one exits", () => {
    const inService = (v: Vmm): unknown => v.machine.writeU32(backing + 0x110n, 0x3_0000);
    const edge = guest(`${store(0xb0, 0)} ${cpuid}`, inService);
    expect(edge.exit().subject).toBe("CPUID");
    expect(word(edge, 0x110n)).toBe(0x1_0000);
    const level = guest(`${store(0xb0, 0)} ${cpuid}`, (v) => {
      inService(v);
      v.machine.writeU32(backing + 0x190n, 0x2_0000);
    });
    expect(exit(level)).toEqual({ code: 0x402n, info1: (1n << 32n) | 0xb0n, info2: 0x31n });
    expect(level.read("RIP")).toBe(place.guestCode + 10n);
  });

  test("V_IRQ is not looked at", () => {
    const vmm = guest(cpuid, (v) => v.write("VINTR", avic | 0x10_0100n | (0x20n << 32n)).write("RFLAGS", 0x202));
    expect(story(vmm)).toEqual(["enter", "exit CPUID"]);
  });

  test("a doorbell makes the processor look again", () => {
    const ring = `b9 1b 01 01 c0 31 c0 31 d2 0f 30`;
    const vmm = guest(`c7 04 25 10 02 50 00 00 00 02 00 ${ring} 90`, (v) => v.intercept("HLT").write("RFLAGS", 0x202));
    expect(story(vmm)).toEqual(["enter", "interrupt INTR", "exit HLT"]);
  });
});

describe("interprocessor interrupts", () => {
  const send = (low: number, high = 0): string => `${store(0x310, high)} ${store(0x300, low)} ${cpuid}`;
  const incomplete = (v: Vmm): unknown => {
    const info2 = v.read("EXITINFO2");
    return { code: v.read("EXITCODE"), cause: info2 >> 32n, index: info2 & 0xffff_ffffn };
  };

  test("to itself", () => {
    const vmm = guest(send(0x4_0031));
    expect(vmm.exit().subject).toBe("CPUID");
    expect(word(vmm, 0x210n)).toBe(0x2_0000);
  });

  test("to a physical address that runs", () => {
    const vmm = guest(send(0x31, 0));
    expect(vmm.exit().subject).toBe("CPUID");
    expect(word(vmm, 0x210n)).toBe(0x2_0000);
  });

  test("to one that does not run: delivered, and the exit names it", () => {
    const vmm = guest(send(0x31, 0x0100_0000));
    expect(incomplete(vmm)).toEqual({ code: 0x401n, cause: 1n, index: 1n });
    expect(vmm.read("EXITINFO1")).toBe(0x0100_0000_0000_0031n);
    expect(word(vmm, 0x210n, other)).toBe(0x2_0000);
    expect(vmm.read("RIP")).toBe(place.guestCode + 20n);
    expect(vmm.exit().fields).toMatchObject({ cause: "target_not_running", index: 1n });
  });

  test("to an entry that is not valid, or beyond the table", () => {
    const invalid = guest(send(0x31, 0x0100_0000), (v) => v.machine.writeU64(physicalTable + 8n, 0n));
    expect(incomplete(invalid)).toEqual({ code: 0x401n, cause: 2n, index: 1n });
    expect(incomplete(guest(send(0x31, 0x0200_0000)))).toEqual({ code: 0x401n, cause: 2n, index: 2n });
  });

  test("to a backing page beyond the address width", () => {
    const vmm = guest(send(0x31, 0x0100_0000), (v) => v.machine.writeU64(physicalTable + 8n, valid | (1n << 50n)));
    expect(incomplete(vmm)).toEqual({ code: 0x401n, cause: 3n, index: 1n });
  });

  test("with a delivery mode or trigger mode that is the hypervisor's, or a vector that is not one", () => {
    expect(incomplete(guest(send(0x4_0431)))).toMatchObject({ cause: 0n });
    expect(incomplete(guest(send(0x4_8031)))).toMatchObject({ cause: 0n });
    expect(incomplete(guest(send(0x4_0005)))).toMatchObject({ cause: 4n });
  });

  test("to all, and to all but itself", () => {
    const all = guest(send(0x8_0031), (v) => v.machine.writeU64(physicalTable + 8n, valid | running | other));
    expect(all.exit().subject).toBe("CPUID");
    expect([word(all, 0x210n), word(all, 0x210n, other)]).toEqual([0x2_0000, 0x2_0000]);
    const rest = guest(send(0xc_0031), (v) => v.machine.writeU64(physicalTable + 8n, valid | running | other));
    expect([word(rest, 0x210n), word(rest, 0x210n, other)]).toEqual([0, 0x2_0000]);
  });

  test("by logical address, flat and by cluster", () => {
    const logical = (v: Vmm): unknown => {
      v.machine.writeU64(physicalTable + 8n, valid | running | other);
      return v.machine.writeU32(logicalTable + 4n, 0x8000_0001);
    };
    const flat = guest(send(0x831, 0x0200_0000), (v) => (logical(v), v.machine.writeU32(backing + 0xe0n, -1 >>> 0)));
    expect(word(flat, 0x210n, other)).toBe(0x2_0000);
    const cluster = guest(send(0x831, 0x1200_0000), (v) => {
      logical(v);
      v.machine.writeU32(logicalTable + 5n * 4n, 0x8000_0001);
    });
    expect(word(cluster, 0x210n, other)).toBe(0x2_0000);
    expect(incomplete(guest(send(0x831, 0x0400_0000), logical))).toMatchObject({ cause: 2n, index: 2n });
  });
});

test("VMRUN refuses pointers beyond the address width, while the AVIC is on", () => {
  const vmm = new Vmm().write("VINTR", avic).write("AVIC_LOGICAL_TABLE", 1n << 50n);
  expect(vmm.enter()?.rule).toBe("vmcb.avic.pointers");
  expect(new Vmm().write("AVIC_LOGICAL_TABLE", 1n << 50n).enter()).toBeUndefined();
});
