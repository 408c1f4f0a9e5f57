// The decoder of codec/ and that of the core read one table; on random bytes they agree about form and length.

import { expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { decode, format } from "../../src/codec/index.js";
import { instructions, type Form } from "../../src/isa/index.js";
import { buildCoreDecoder } from "./core-decoder.js";
import { allBits } from "./corpus.js";
import { codeLikeBytes, numbers } from "./random.js";

const count = 60_000;

/** Forms by their number in the table. */
const forms: readonly Form[] = instructions().flatMap((row) => row.forms.filter((form) => form.use !== "alias"));

/** Control and debug registers that do not exist are invalid to codec/ and found by the core when it executes. */
const hasNumberedRegister = (form: Form): boolean => /CRn|DRn/.test(form.operands);

test(`core and codec decode ${count} byte strings of each mode alike`, { timeout: 120_000 }, () => {
  const coreDecode = buildCoreDecoder();
  const differences: string[] = [];
  for (const bits of allBits) {
    const next = numbers(31 + bits);
    for (let i = 0; i < count; i++) {
      const bytes = codeLikeBytes(next);
      const ours = decode(bytes, 0, bits);
      const core = coreDecode(bytes, bits);
      const coreForm = core.form === undefined ? undefined : forms[core.form];
      if (ours.kind !== "instruction") {
        if (coreForm !== undefined && !hasNumberedRegister(coreForm)) {
          differences.push(`${bits} ${hexBytes(bytes)}: codec ${ours.kind}, core ${coreForm.code}`);
        }
      } else if (ours.form !== coreForm || ours.length !== core.length) {
        const text = `${format(ours.value)} (${ours.form.code}, ${ours.length})`;
        differences.push(`${bits} ${hexBytes(bytes)}: codec ${text}, core ${coreForm?.code ?? "none"}, ${core.length}`);
      }
    }
  }
  expect(differences.slice(0, 20)).toEqual([]);
});
