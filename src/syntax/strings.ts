// String literals. Quotes " and ' take everything as it stands; backquotes know the escapes of C, as in NASM.

const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ n: "\n", r: "\r", t: "\t", a: "\x07", b: "\b", e: "\x1b", f: "\f", v: "\v", "0": "\0" },
  ...{ "\\": "\\", "'": "'", '"': '"', "`": "`" },
};

/** Resolves the escapes of a backquoted string's inner text; `onBad` hears of those that do not exist. */
export function unescape(inner: string, onBad: (offset: number, escape: string) => void): string {
  if (!inner.includes("\\")) return inner;
  let text = "";
  for (let at = 0; at < inner.length; at++) {
    const char = inner[at] ?? "";
    if (char !== "\\") {
      text += char;
      continue;
    }
    const letter = inner[at + 1] ?? "";
    const digits = letter === "x" ? (/^[0-9a-fA-F]{1,2}/.exec(inner.slice(at + 2, at + 4))?.[0] ?? "") : "";
    const simple = simpleEscapes[letter];
    if (digits !== "") text += String.fromCharCode(Number.parseInt(digits, 16));
    else if (simple !== undefined) text += simple;
    else onBad(at, `\\${letter}`);
    at += 1 + digits.length;
  }
  return text;
}
