// Translated code stays in its cache: a loop of calls, returns and jumps comes to the VMM while its blocks are made and no
// more. The speed itself is the bench's matter.

import { expect, test } from "vitest";
import { compile } from "../../src/compiler/index.js";
import { resolve } from "../../src/resolve/index.js";
import { MachinePool } from "../../src/runner/index.js";
import { parse } from "../../src/syntax/index.js";
import type { StartState } from "../../src/program/index.js";
import { silent, startVmm } from "../../src/vmm/index.js";

const rounds = 1000;
const pool = new MachinePool();

/** Ways of a routine and back. Each leaves EDI one higher. */
const ways: Readonly<Record<string, string>> = {
  "a call that the block follows": "call direct",
  "a call through a register": "mov eax, direct\ncall eax",
  "a call through memory": "call [pointer]",
  "a return to elsewhere": "push dword .over\npush dword direct\nret\n.over:",
  "a jump through memory": "push dword .over\njmp [pointer]\n.over:",
  "a call within calls": "call outermost",
  recursion: "mov ecx, 5\ncall deep\ninc edi",
};

test.each(Object.entries(ways))("%s stays in the cache", (_, way) => {
  const text = `test "loop" {
on pentium4
vmm binary_translation
guest prot32 {
mov esi, ${rounds}
again:
${way}
dec esi
jnz again
expect edi == ${rounds}
done
direct:
inc edi
ret
outermost:
call outer
ret
outer:
call inner
ret
inner:
call direct
ret
deep:
dec ecx
jz .out
call deep
.out:
ret
data {
pointer: dd direct
}
}
}
`;
  const resolved = resolve(parse({ name: "loop", text }).output, new Map());
  expect(resolved.diagnostics).toEqual([]);
  const [cell] = resolved.output.tests[0]?.cases ?? [];
  if (cell === undefined) throw new Error("the test has no case");
  const { image } = compile(cell, { lowering: "bundled" }).output;
  const { machine } = pool.take(cell.platform);
  machine.reset();
  machine.load(image);
  let runs = 0;
  const counting = {
    processor: (real: { run(budget: number): ReturnType<typeof machine.run> }) => ({
      run: (budget: number) => {
        runs++;
        return real.run(budget);
      },
    }),
  };
  const guest = startVmm(machine, cell.vmm, image.start as StartState, { events: silent, fault: counting as never });
  guest.run(4 * rounds);
  expect(guest.state.register("RDI")).toBeGreaterThan(BigInt(rounds / 10));
  expect(runs).toBeLessThan(rounds / 10);
});
