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

test("check --fix turns what NASM writes into what is written here, and the result runs", () => {
  const text = `test "a listing of NASM" {
  on haswell
  guest prot32 {
%define COUNT 4
    mov ecx, COUNT
    mov esi, offset message
    mov edi, buffer
    rep movsb
    times 2 inc edx
    mov eax, es:[buffer]
    mov ebx, length
    cmp byte ptr [buffer + 3], 0
    expect eax = dword [message]
    expect ebx = 4 && edx = edx
    data {
      message db 'abc', 0
      length equ $ - message
      buffer resd 2
      rest: resw 3
      times 8 db 0
    }
  }
}
`;
  cli.write("nasm/a.trap", text);
  const { status, out } = cli.trapline("check", "--fix", "nasm");
  expect(out).toMatch(/^fixed \d+ in nasm\/a\.trap\n1 file, 0 errors, 0 warnings\n$/);
  expect(status).toBe(0);
  const mended = readFileSync(cli.path("nasm/a.trap"), "utf8");
  for (const line of ["const COUNT = 4", "message: db 'abc', 0", "const length = $ - message", "buffer: zero 2 * 4"])
    expect(mended).toContain(line);
  for (const line of ["rest: zero 3 * 2", "zero 8", "repeat 2 { inc edx }", "mov eax, [es: buffer]"]) {
    expect(mended).toContain(line);
  }
  expect(cli.trapline("run", "nasm").status).toBe(0);
});

test("check --fix splits a line by `on` where a name is one vendor's, and leaves the other's side open", () => {
  const text = `test "t" {
  on all
  vmm hardware
  guest long64 {
    mov rax, [0x9000] => exit EPT_VIOLATION(access: read) ; protected
    on vtx2, svm2 {
      cpuid
        => exit CPUID, exit VMCALL
    }
    hlt
      on haswell, zen => exit HLT * 1 then exit NPF
      => halt
  }
}
`;
  cli.write("split/a.trap", text);
  const { out } = cli.trapline("check", "--fix", "split");
  expect(out).toBe("fixed 3 in split/a.trap\n1 file, 0 errors, 0 warnings\n");
  const mended = readFileSync(cli.path("split/a.trap"), "utf8");
  expect(mended).toContain(`    mov rax, [0x9000]
      on vtx1, vtx2 => exit EPT_VIOLATION(access: read)
      on svm1, svm2 => ? ; protected
`);
  expect(mended).toContain(`        on vtx2 => exit CPUID, exit VMCALL
        on svm2 => ?
`);
  expect(mended).toContain("      on zen => exit HLT * 1 then exit NPF\n      on haswell => ?\n");
});

test("check --fix gives platforms that no clause names one that is still open", () => {
  const text = `test "t" {
  on vtx1, haswell, nehalem, svm1, svm2
  vmm hardware
  guest long64 {
    cpuid
      on vtx1, haswell => exit CPUID ; the first
    hlt
      on svm2          => halt
      on vtx1          => halt
  }
}
`;
  cli.write("open/a.trap", text);
  expect(cli.trapline("check", "--fix", "open").out).toBe("fixed 2 in open/a.trap\n1 file, 0 errors, 0 warnings\n");
  const mended = text
    .replace("; the first", "; the first\n      on nehalem, svm1, svm2 => ?")
    .replace("on vtx1          => halt", "on vtx1          => halt\n      on haswell, nehalem, svm1 => ?");
  expect(readFileSync(cli.path("open/a.trap"), "utf8")).toBe(mended);
});

test("check --fix mends first mistakes of notation", () => {
  const text = `macro both(a, b) {
  mov a, b
}
test "t" {
  on: haswell zen
  guest long64 {
    both(eax, (1 + 2) * 3)
    cli => trap #GP 0
    hlt => halt
    handler UD { iretq }
  }
}
`;
  cli.write("notation/a.trap", text);
  expect(cli.trapline("check", "--fix", "notation").out).toBe(
    "fixed 5 in notation/a.trap\n1 file, 0 errors, 0 warnings\n",
  );
  const mended = text
    .replace("on: haswell zen", "on haswell, zen")
    .replace("both(eax, (1 + 2) * 3)", "both eax, (1 + 2) * 3")
    .replace("#GP 0", "#GP(0)")
    .replace("UD", "#UD");
  expect(readFileSync(cli.path("notation/a.trap"), "utf8")).toBe(mended);
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
