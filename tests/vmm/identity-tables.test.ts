import { expect, test } from "vitest";
import type { MemoryPolicy } from "../../src/vmm/index.js";
import { buildIdentityTables, openPage, type EntryFormat } from "../../src/vmm/hardware/identity-tables.js";
import { PageAllocator } from "../../src/vmm/page-allocator.js";
import type { Processor } from "../../src/vmm/virtualization.js";

const memoryBytes = 0x80_0000;
const format: EntryFormat = {
  table: 7n,
  large: true,
  page: ({ read, write, execute }) => (read ? 1n : 0n) | (write ? 2n : 0n) | (execute ? 4n : 0n),
};
const rule = (start: bigint, end: bigint, text: string): MemoryPolicy => ({
  start,
  end,
  rights: { read: text.includes("r"), write: text.includes("w"), execute: text.includes("x") },
  denied: "skip",
});

/** Builds the tables in a memory of their own and gives a walk: physical address, rights and page size. */
function build(rules: readonly MemoryPolicy[]) {
  const view = new DataView(new ArrayBuffer(0x40_0000));
  const processor = {
    platform: { memoryBytes },
    writePhysical: (address: bigint, bytes: Uint8Array) => new Uint8Array(view.buffer).set(bytes, Number(address)),
    readU64: (address: bigint) => view.getBigUint64(Number(address), true),
    writeU64: (address: bigint, value: bigint) => view.setBigUint64(Number(address), value, true),
  } as unknown as Processor;
  const root = buildIdentityTables(processor, new PageAllocator(0x1000, 0x40_0000), format, rules);
  const walk = (address: bigint): string => {
    let table = root;
    for (let level = 4n; level > 0n; level--) {
      const shift = 12n + 9n * (level - 1n);
      const entry = processor.readU64(table + ((address >> shift) & 0x1ffn) * 8n);
      if (entry === 0n) return "none";
      if (level === 1n || (entry & 0x80n) !== 0n) {
        const offset = address & ((1n << shift) - 1n);
        return `${((entry & ~0xfffn) + offset).toString(16)} ${entry & 7n} ${1n << shift}`;
      }
      table = entry & ~0xfffn;
    }
    return "none";
  };
  return { walk, open: (address: bigint) => openPage(processor, root, format, address) };
}

test("memory without rules is mapped to itself in large pages, and nothing lies behind it", () => {
  const { walk } = build([]);
  expect(walk(0x12_3456n)).toBe("123456 7 2097152");
  expect(walk(0x7f_ffffn)).toBe("7fffff 7 2097152");
  expect(walk(0x80_0000n)).toBe("none");
  expect(walk(0xfee0_0020n)).toBe("fee00020 7 2097152");
});

test("a rule splits only the large page that it lies in", () => {
  const { walk } = build([rule(0x9000n, 0x9fffn, "r")]);
  expect(walk(0x9008n)).toBe("9008 1 4096");
  expect(walk(0xa008n)).toBe("a008 7 4096");
  expect(walk(0x20_0000n)).toBe("200000 7 2097152");
});

test("a page that rules cover in part allows what all of them allow; a later rule for all of it replaces them", () => {
  expect(build([rule(0x9000n, 0x90ffn, "r"), rule(0x9100n, 0x9fffn, "rwx")]).walk(0x9000n)).toBe("9000 1 4096");
  expect(build([rule(0x9000n, 0x90ffn, "r"), rule(0x9000n, 0x9fffn, "rw")]).walk(0x9000n)).toBe("9000 3 4096");
});

test("a page is opened for one step and closed again", () => {
  const { walk, open } = build([rule(0x9000n, 0x9fffn, "")]);
  expect(walk(0x9000n)).toBe("none");
  const close = open(0x9123n);
  expect(walk(0x9000n)).toBe("9000 7 4096");
  close();
  expect(walk(0x9000n)).toBe("none");
});
