// Characters that the language does not use: what they were probably meant to be, and how messages name them.

/** Spaces that text editors and web pages bring along. */
export const SPACES: ReadonlySet<string> = new Set(
  "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000\ufeff",
);

/** What a character that often comes from copied text was probably meant to be. */
export const lookAlikes: Readonly<Record<string, string>> = {
  "\u2018": "'",
  "\u2019": "'",
  "\u201c": '"',
  "\u201d": '"',
  "\u2013": "-",
  "\u2014": "-",
  "\u2212": "-",
  "\u21d2": "=>",
  "\u2192": "=>",
  "\u2026": "..",
  "\u00d7": "*",
  "\u2260": "!=",
  "\u2264": "<=",
  "\u2265": ">=",
};

/** Visible characters as they are, all others by their code point. */
export function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const visible = (code > 0x20 && code < 0x7f) || /[\p{L}\p{N}\p{P}\p{S}]/u.test(character);
  const point = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return code < 0x80 && visible ? character : visible ? `${character} (${point})` : `the character ${point}`;
}
