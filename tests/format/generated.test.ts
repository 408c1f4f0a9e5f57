// Generated texts, formatted: they say the same with the same comments, and stay as they are when formatted once more.

import { expect, test } from "vitest";
import { parse } from "../../src/syntax/index.js";
import { Random } from "../hostcpu/random.js";
import { randomProgram } from "./programs.js";
import { formatted, meaningOf } from "./support.js";

const tries = 400;

test(`${tries} generated texts say the same after formatting`, () => {
  const random = new Random(20n);
  let read = 0;
  for (let i = 0; i < tries; i++) {
    const text = randomProgram(random);
    if (parse({ name: "generated.trap", text }).diagnostics.length > 0) continue;
    read++;
    expect(meaningOf(formatted(text)), text).toEqual(meaningOf(text));
  }
  // Most of what is generated can be read, or the test would prove little.
  expect(read).toBeGreaterThan(tries / 2);
});
