// `embed`: the command line reads the files that a test embeds, relative to the test.

import { expect, test } from "vitest";
import { useCli } from "./cli.js";

const cli = useCli();

test("a file's bytes stand where it is embedded, whole or in part", () => {
  cli.write("tests/data/text.bin", "hello");
  cli.write(
    "tests/embeds.trap",
    `test "an embedded file" {
  on haswell

  guest prot32 {
    mov al, [text + 4]
    mov ah, [part]
    expect al == "o" && ah == "l" && after - part == 2
    data {
      text: embed "data/text.bin"
      part: embed "data/text.bin", 2, 2
      after: db 0
    }
  }
}
`,
  );
  expect(cli.trapline("run", "tests/embeds.trap")).toMatchObject({ status: 0 });
});

test("a part that the file does not have is refused", () => {
  cli.write("tests/short.bin", "ab");
  cli.write(
    "tests/beyond.trap",
    'test "x" {\n  on haswell\n  guest prot32 {\n    nop => nothing\n    embed "short.bin", 1, 2\n  }\n}\n',
  );
  const { status, out, err } = cli.trapline("check", "tests/beyond.trap");
  expect(status).toBe(2);
  expect(`${out}${err}`).toContain(
    "error[E3121]: short.bin cannot be embedded: it has 2 bytes, and 2 from 1 on are asked for",
  );
});
