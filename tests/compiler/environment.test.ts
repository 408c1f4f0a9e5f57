// The tables of a guest's environment, read back the way the manuals say a processor reads them.

import { expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { gdtBytes, interruptTableBytes, tssBytes } from "../../src/compiler/environment/descriptors.js";
import { openRights, PageTables, pagingForms, type PagingForm } from "../../src/compiler/environment/page-tables.js";
import { selectors } from "../../src/program/index.js";

const BASE = 0x30_0000n;
const ROOM = 0x20_0000;

test.each([
  ["CODE64", "ffff0000009baf00"],
  ["DATA", "ffff00000093cf00"],
  ["CODE32_RING3", "ffff000000fbcf00"],
  ["DATA_RING3", "ffff000000f3cf00"],
  ["CODE64_RING3", "ffff000000fbaf00"],
  ["CODE32", "ffff0000009bcf00"],
  ["CODE16", "ffff0000009b0000"],
  ["DATA16", "ffff000000930000"],
  ["TSS", "68200020248b0000"],
] as const)("the GDT's entry %s has the bytes that the manual's figure gives", (name, bytes) => {
  const gdt = gdtBytes(0x24_2000n, true);
  const at = selectors[name] & ~7;
  expect(hexBytes(gdt.subarray(at, at + 8))).toBe(bytes);
});

test("the TSS is available, not busy, where code is still to load it", () => {
  const at = selectors.TSS;
  expect(hexBytes(gdtBytes(0x24_2000n, false).subarray(at, at + 8))).toBe("6820002024890000");
});

test("gates hold target, selector and privilege in the three forms", () => {
  const gate = { vector: 1, target: 0x1234_5678n, dpl: 3 } as const;
  expect(hexBytes(interruptTableBytes([gate], "gate32"))).toBe("00000000000000007856300000ee3412");
  expect(hexBytes(interruptTableBytes([gate], "gate64").subarray(16))).toBe("7856080000ee34120000000000000000");
  expect(hexBytes(interruptTableBytes([{ ...gate, target: 0x0501n }], "ivt"))).toBe("0000000001050000");
});

test("the I/O permission bitmap denies every port and ends with a byte of ones", () => {
  const tss = tssBytes("tss32", 0x27_0000n, selectors.DATA);
  expect(hexBytes(tss.subarray(4, 10))).toBe("000027001000");
  expect(hexBytes(tss.subarray(0x66, 0x68))).toBe("6800");
  expect(tss.subarray(0x68).every((byte) => byte === 0xff)).toBe(true);
  expect(tss.length).toBe(0x68 + 8192 + 1);
});

interface Translation {
  readonly physical: bigint;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

/** A plain page walk, level by level. */
function translate(tables: PageTables, form: PagingForm, linear: bigint): Translation | undefined {
  const bytes = tables.finished();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let table = 0;
  let rights = { writable: true, user: true, executable: true };
  for (let level = 0; level < form.indexBits.length; level++) {
    const shift = 12 + form.indexBits.slice(level + 1).reduce((sum, bits) => sum + bits, 0);
    const index = Number((linear >> BigInt(shift)) & ((1n << BigInt(form.indexBits[level] ?? 0)) - 1n));
    const at = table + index * form.entryBytes;
    const entry = form.entryBytes === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
    if ((entry & 1n) === 0n) return undefined;
    if (level > 0 || !form.plainRoot) {
      rights = {
        writable: rights.writable && (entry & 2n) !== 0n,
        user: rights.user && (entry & 4n) !== 0n,
        executable: rights.executable && (entry & (1n << 63n)) === 0n,
      };
    } else {
      // Bits 1, 2 and 5 to 8 of PAE's root entries are reserved: a processor refuses to load them.
      if ((entry & 0x1e6n) !== 0n) return undefined;
    }
    const isLast = level === form.indexBits.length - 1;
    const mask = ((1n << 52n) - 1n) & ~((1n << BigInt(shift)) - 1n);
    if (isLast || (entry & 0x80n) !== 0n) {
      return { physical: (entry & mask) | (linear & ((1n << BigInt(shift)) - 1n)), ...rights };
    }
    table = Number((entry & 0xf_ffff_ffff_f000n) - BASE);
  }
  return undefined;
}

const forms = Object.values(pagingForms);
const open = { writable: true, user: true, executable: true };

test.each(forms)("$name: everything is mapped to itself, up to the end of the range", (form) => {
  const tables = new PageTables(form, BASE, ROOM, true);
  tables.map(0n, 0n, 0x401_3000n, openRights);
  for (const linear of [0n, 0x9abcn, 0x3f_ffffn, 0x40_0000n, 0x401_2fffn]) {
    expect(translate(tables, form, linear)).toEqual({ physical: linear, ...open });
  }
  expect(translate(tables, form, 0x401_3000n)).toBeUndefined();
});

test.each(forms)("$name: a rule for one page splits a large one and leaves its neighbours", (form) => {
  const base = new PageTables(form, BASE, ROOM, true);
  base.map(0n, 0n, 0x80_0000n, openRights);
  const tables = base.copy();
  tables.map(0x9000n, 0x7000n, 0x1000n, { ...openRights, writable: false, user: false });
  tables.map(0xa000n, 0xa000n, 0x1000n, { ...openRights, present: false });
  expect(translate(tables, form, 0x9123n)).toEqual({ physical: 0x7123n, ...open, writable: false, user: false });
  expect(translate(tables, form, 0xa000n)).toBeUndefined();
  expect(translate(tables, form, 0x8fffn)).toEqual({ physical: 0x8fffn, ...open });
  expect(translate(tables, form, 0xb000n)).toEqual({ physical: 0xb000n, ...open });
  expect(translate(base, form, 0x9123n)).toEqual({ physical: 0x9123n, ...open });
});

test("small pages only give the same translation", () => {
  const form = pagingForms.paging32;
  const tables = new PageTables(form, BASE, ROOM, false);
  tables.map(0n, 0n, 0x80_0000n, openRights);
  expect(translate(tables, form, 0x7f_fabcn)).toEqual({ physical: 0x7f_fabcn, ...open });
});

test("the upper half of 64-bit addresses can be mapped, and made not executable", () => {
  const form = pagingForms.long;
  const tables = new PageTables(form, BASE, ROOM, true);
  tables.map(0xffff_8000_0000_0000n, 0x9000n, 0x1000n, { ...openRights, executable: false });
  expect(translate(tables, form, 0xffff_8000_0000_0010n)).toEqual({ physical: 0x9010n, ...open, executable: false });
});

test("tables that need more room than there is are found out, not written past it", () => {
  const tables = new PageTables(pagingForms.long, BASE, 0x4000, true);
  for (let i = 0n; i < 8n; i++) tables.map(i << 39n, 0n, 0x1000n, openRights);
  expect(tables.overflow).toBe(true);
  expect(tables.finished().length).toBeLessThanOrEqual(0x4000);
});
