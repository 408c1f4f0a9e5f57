// `trapline check --fix` and `--format` as people and programs use them.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { useCli } from "./cli.js";

const cli = useCli();

const wrong = `test "t" {
  on Haswell
  guest long64 {
    mov eax, 1 -> nothing # set
    CPUID => Exit cpuid(a=3)
    mov rax, qword ptr [rbx] // foo
    mov ecx, cr0.pe
    mov rax, [rbx\u22128]
    hlt => halt
  }
}
`;

test("check says how many mistakes --fix would mend", () => {
  cli.write("said/a.trap", wrong);
  const { out } = cli.trapline("check", "said");
  expect(out).toMatch(/\ntrapline check --fix mends \d+ of these\n1 file, \d+ errors, 0 warnings\n$/);
});

test("check --fix mends what can only be meant in one way, and says what is left", () => {
  cli.write("fixed/a.trap", wrong);
  const { status, out } = cli.trapline("check", "--fix", "fixed");
  expect(status).toBe(2);
  expect(out).toMatch(/^fixed 10 in fixed\/a\.trap\nerror\[E3075\]: exit CPUID has no field a\n/);
  expect(readFileSync(cli.path("fixed/a.trap"), "utf8")).toBe(
    wrong
      .replace("Haswell", "haswell")
      .replace("->", "=>")
      .replace("#", ";")
      .replace("Exit cpuid(a=3)", "exit CPUID(a:3)")
      .replace("ptr ", "")
      .replace("//", ";")
      .replace("cr0.pe", "CR0.PE")
      .replace("\u2212", "-"),
  );
});

test("check --fix leaves a file that is right alone", () => {
  const right = 'test "t" {\n  on haswell\n  guest long64 {\n    hlt => halt\n  }\n}\n';
  cli.write("right/a.trap", right);
  expect(cli.trapline("check", "--fix", "right").out).toBe("1 file, 0 errors, 0 warnings\n");
  expect(readFileSync(cli.path("right/a.trap"), "utf8")).toBe(right);
});

test("check --format json is data, and has the same exit status", () => {
  cli.write("json/a.trap", wrong);
  const { status, out } = cli.trapline("check", "--format", "json", "json");
  expect(status).toBe(2);
  expect(JSON.parse(out)).toMatchObject({ format: "trapline", version: 1, status: 2 });
});

test("run --format github names each failure's line, and ends with the totals", () => {
  cli.write("github/a.trap", 'test "t" {\n  on haswell\n  guest long64 {\n    cli => trap #UD\n  }\n}\n');
  const { status, out } = cli.trapline("run", "--format", "github", "github");
  expect(status).toBe(1);
  expect(out).toMatch(/^::error file=github\/a\.trap,line=4,endLine=4,col=5,endColumn=8,title=t [^\n]*\n0 passed/);
});

test("a form that is none is refused with those that there are", () => {
  const { status, err } = cli.trapline("run", "--format", "xml");
  expect(status).toBe(2);
  expect(err).toContain("Allowed choices are human, json, sarif, github");
});
