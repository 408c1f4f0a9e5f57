// Inputs that nobody would write: right files with pieces cut out, doubled, moved, replaced, and bytes of any kind.

import type { Random } from "../hostcpu/random.js";

const pieces = [
  ...[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    "=",
    "=>",
    "..",
    "$",
    "?",
    "*",
    "-",
    "~",
    '"',
    "'",
    "`",
    ";",
    "\\\n",
    "\n",
  ],
  ...["\u0000", "\u00a0", "\ud800", "\r\n", "\t", "#", "%", "//", "0x", "0xffff_ffff_ffff_ffff", "1K", "-1", "K"],
  ...["on all ", "on ", "to vmm", "goto .x", "then ", "any of (", "nothing", "each x = ", "use vmx\n", "golden\n"],
  ...["macro m(a, b: block) {\n", "m [m]", "repeat 3 {\n", "for i in 0..3 {\n", "if BITS == 64 {\n", "else {\n"],
  ...["data {\n", "align 16", "zero 4", "struct s {\n", "ring 3 {\n", "handler #PF {\n", "map 0x9000..0x9fff ro\n"],
  ...[
    "test ",
    "guest long64 {\n",
    "guest l2 under l1 {\n",
    "vmm hardware {\n",
    "platform p from haswell {\n",
    "const A = A\n",
  ],
];

/** A text made from a right one. */
export function mutate(text: string, random: Random): string {
  let result = text;
  for (let i = random.below(4); i >= 0; i--) result = mutateOnce(result, random);
  return result.slice(0, 20_000);
}

function mutateOnce(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const length = random.below(random.chance(80) ? 12 : 200);
  const piece = text.slice(at, at + length);
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length);
    case 1:
      return text.slice(0, at) + piece.repeat(1 + random.below(5)) + text.slice(at);
    case 2: {
      const other = random.below(text.length + 1);
      return text.slice(0, other) + piece + text.slice(other);
    }
    case 3:
      return text.slice(0, at);
    case 4:
      return (
        text.slice(0, at) + String.fromCharCode(random.below(random.chance(70) ? 128 : 0x1_0000)) + text.slice(at + 1)
      );
    case 5:
      return swapLines(text, random);
    default:
      return text.slice(0, at) + random.pick(pieces) + text.slice(at + (random.chance(50) ? length : 0));
  }
}

function swapLines(text: string, random: Random): string {
  const lines = text.split("\n");
  const from = random.below(lines.length);
  const [line = ""] = lines.splice(from, 1);
  lines.splice(random.below(lines.length + 1), 0, line);
  return lines.join("\n");
}
