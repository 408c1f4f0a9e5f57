// Words that entries of the catalogue share: lists of names, and names that were probably meant.

/** A name that is not known, with near ones where there are any. */
export interface Unknown {
  readonly name: string;
  readonly help?: string | undefined;
}

/** `a, b or c`. */
export const list = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;

/** Near names, or else the names there are, of many the first. */
export const near = (f: {
  readonly help?: string | undefined;
  readonly names?: readonly string[];
}): string | undefined => f.help ?? (f.names && f.names.length > 0 ? `it can be ${some(f.names)}` : undefined);

/** A list that stays readable. */
const some = (names: readonly string[]): string =>
  names.length <= 12 ? list(names) : `${names.slice(0, 12).join(", ")} and more`;
