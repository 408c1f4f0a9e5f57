// Codes E4…: what encoding and layout report. E4001 to E4099 are the encoder's, E4100 and up are layout's.

import { diagnostic } from "../diagnostic.js";
import { hex } from "../number.js";

export const valueUnknown = diagnostic<object>({
  code: "E4100",
  severity: "error",
  title: "A value that has no number when addresses are known",
  explanation:
    "Values may use addresses of labels, which are known once everything is placed. A division by a difference of " +
    "addresses that turns out to be 0, or a label that ended up in no section, leaves a value without a number.",
  message: () => "this value has no number: it divides by 0, or uses a label that is placed nowhere",
  help: () => "check the divisor and the labels in this expression",
});

export const valueTooLarge = diagnostic<{ value: bigint; bits: number }>({
  code: "E4101",
  severity: "error",
  title: "Data that does not fit in its unit",
  explanation:
    "`db` takes values of 8 bits, `dw` 16, `dd` 32, `dq` 64; each may be written as a signed or as an unsigned number.",
  message: (f) => `${hex(f.value)} does not fit in ${f.bits} bits`,
  label: (f) => `needs more than ${f.bits} bits`,
  help: (f) =>
    f.bits < 64 ? `use a wider unit, or mask the value with & ${hex((1n << BigInt(f.bits)) - 1n)}` : undefined,
});

export const countNegative = diagnostic<{ count: bigint }>({
  code: "E4102",
  severity: "error",
  title: "A negative number of bytes",
  explanation: "`zero N` puts N bytes of 0; N may use addresses, but must not be negative.",
  message: (f) => `zero cannot put ${f.count} bytes`,
  help: () => "exchange the operands of the subtraction, or drop the line",
});

export const sectionOverflow = diagnostic<{ section: string; guest: string; bytes: number; room: number }>({
  code: "E4103",
  severity: "error",
  title: "More code or data than there is room for",
  explanation:
    "Each guest has room for 512 KiB of code and 512 KiB of data; in 16-bit modes for 12 and 8 KiB. " +
    "Larger areas can be used without declaring them: addresses 0x1000 to 0x9ffff are plain memory of the test.",
  message: (f) => `the ${f.section} of ${f.guest} takes ${f.bytes} bytes or more, and there is room for ${f.room}`,
  help: () => "use plain memory from 0x1000 to 0x9ffff by address instead of declaring it",
});
