// The language's operators on 64-bit values: one meaning for constants, addresses at layout and `expect`.
//
// A value is a 64-bit pattern, kept as a signed bigint (-1, not 2^64 - 1), so that "does it fit in n bits" has one
// answer. `/`, `%`, `>>` read the pattern as unsigned, `//`, `%%`, `>>>` and `<=>` as signed, all as NASM does.
// The other comparisons are unsigned, as addresses and what a guest holds are.

/** The canonical form of a value: its low 64 bits, as a signed number. */
export function toValue(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

/** Applies `-`, `~`, `!` or `+`. */
export function applyUnary(op: string, operand: bigint): bigint {
  switch (op) {
    case "-":
      return toValue(-operand);
    case "~":
      return toValue(~operand);
    case "!":
      return operand === 0n ? 1n : 0n;
    case "+":
      return operand;
    default:
      throw new Error(`internal error: no unary operator ${op}`);
  }
}

type Binary = (left: bigint, right: bigint) => bigint | undefined;

const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);
const truth = (holds: boolean): bigint => (holds ? 1n : 0n);
/** Shift counts past the width give 0, and no number is ever made longer than 128 bits. */
const shifted = (count: bigint, shift: (by: bigint) => bigint): bigint => (unsigned(count) > 63n ? 0n : shift(count));

const binaryOperators: Readonly<Record<string, Binary>> = {
  "||": (a, b) => truth(a !== 0n || b !== 0n),
  "^^": (a, b) => truth((a !== 0n) !== (b !== 0n)),
  "&&": (a, b) => truth(a !== 0n && b !== 0n),
  "==": (a, b) => truth(a === b),
  "!=": (a, b) => truth(a !== b),
  "<>": (a, b) => truth(a !== b),
  "<=>": (a, b) => (a < b ? -1n : truth(a > b)),
  "<": (a, b) => truth(unsigned(a) < unsigned(b)),
  "<=": (a, b) => truth(unsigned(a) <= unsigned(b)),
  ">": (a, b) => truth(unsigned(a) > unsigned(b)),
  ">=": (a, b) => truth(unsigned(a) >= unsigned(b)),
  "|": (a, b) => a | b,
  "^": (a, b) => a ^ b,
  "&": (a, b) => a & b,
  "<<": (a, b) => shifted(b, (by) => toValue(a << by)),
  "<<<": (a, b) => shifted(b, (by) => toValue(a << by)),
  ">>": (a, b) => shifted(b, (by) => toValue(unsigned(a) >> by)),
  ">>>": (a, b) => a >> (unsigned(b) > 63n ? 63n : b),
  "+": (a, b) => toValue(a + b),
  "-": (a, b) => toValue(a - b),
  "*": (a, b) => toValue(a * b),
  "/": (a, b) => (b === 0n ? undefined : toValue(unsigned(a) / unsigned(b))),
  "%": (a, b) => (b === 0n ? undefined : toValue(unsigned(a) % unsigned(b))),
  "//": (a, b) => (b === 0n ? undefined : toValue(a / b)),
  "%%": (a, b) => (b === 0n ? undefined : toValue(a % b)),
};

/** Applies a binary operator to canonical values; undefined is a division by zero. */
export function applyBinary(op: string, left: bigint, right: bigint): bigint | undefined {
  const apply = binaryOperators[op];
  if (apply === undefined) throw new Error(`internal error: no operator ${op}`);
  return apply(left, right);
}
