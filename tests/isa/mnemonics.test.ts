// What is found of a mnemonic without making all tables is all that there is.

import { expect, test } from "vitest";
import { findInstructions, instructions, scalarInstructions, sharedMnemonics } from "../../src/isa/index.js";

const namesOf = (rows: ReturnType<typeof instructions>): readonly string[] =>
  rows.flatMap(({ mnemonic, aliases }) => [mnemonic, ...aliases]).map((name) => name.toLowerCase());

test("the mnemonics that name a vector instruction too are those that are said to", () => {
  const scalar = new Set(namesOf(scalarInstructions));
  const others = new Set(namesOf(instructions().slice(scalarInstructions.length)));
  expect([...scalar].filter((name) => others.has(name)).sort()).toEqual([...sharedMnemonics].sort());
});

test("every mnemonic gives all its rows, in the order of the table", () => {
  for (const name of new Set(namesOf(instructions()))) {
    expect(findInstructions(name)).toEqual(instructions().filter((row) => namesOf([row]).includes(name)));
  }
});
