// Golden transcripts: one file for each test file, equal transcripts once, every cell found again.

import { describe, expect, test } from "vitest";
import { compareGolden, goldenPath, orphanCells, parseGolden, renderGolden } from "../../src/verdict/index.js";

const name = (title: string, platform: string) => ({ file: "examples/a.trap", title, platform, vmmText: "vmm none" });
const cells = [
  { name: name("first", "haswell"), transcript: "g+0x00   ud2             trap #UD\n" },
  { name: name("first", "zen"), transcript: "g+0x00   ud2             trap #UD\n" },
  { name: name("first", "penryn"), transcript: "" },
  { name: name("second", "zen"), transcript: "g+0x00   hlt             halt\ng+0x01                   done\n" },
];
const text = renderGolden(cells);

test("cells with the same transcript share it", () => {
  expect(text).toBe(`# a.trap > first
# haswell, vmm none
# zen, vmm none
g+0x00   ud2             trap #UD

# a.trap > first
# penryn, vmm none

# a.trap > second
# zen, vmm none
g+0x00   hlt             halt
g+0x01                   done
`);
});

test("a golden file lies beside its test file", () => {
  expect(goldenPath("examples/a.trap")).toBe("examples/a.golden");
});

test("what is written is read again", () => {
  expect([...parseGolden(text).values()]).toEqual(cells.map((cell) => cell.transcript));
  expect(cells.map((cell) => compareGolden(text, cell, 0))).toEqual(cells.map(() => undefined));
});

describe("a failure names the first line that differs and the command that accepts it", () => {
  const changed = (transcript: string) => compareGolden(text, { name: name("second", "zen"), transcript }, 7);

  test("another event", () => {
    expect(changed("g+0x00   hlt             shutdown\n")).toEqual({
      at: 7,
      expected: "line 1 of the golden transcript: g+0x00   hlt             halt",
      got: "g+0x00   hlt             shutdown; if that is right: trapline run examples/a.trap --update",
    });
  });

  test("a line less", () => {
    expect(changed("g+0x00   hlt             halt\n")?.got).toMatch(/^the end; /);
  });

  test("no golden at all", () => {
    expect(compareGolden(undefined, { name: name("new", "zen"), transcript: "" }, 0)?.expected).toBe(
      "a golden transcript in examples/a.golden",
    );
  });
});

test("cells that no test has any more are orphans", () => {
  expect(orphanCells(text, [name("first", "haswell"), name("first", "zen"), name("second", "zen")])).toEqual([
    "a.trap > first  [penryn, vmm none]",
  ]);
});
