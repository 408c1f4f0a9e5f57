// `trapline build`, `try`, `init`, and `run` with `--fill` and `--compare`, as people use them.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { useCli } from "./cli.js";

const cli = useCli();

const twoTests = `test "first" {
  on penryn, zen

  guest long64 {
    cpuid               => nothing
    hlt                 => halt
  }
}

test "second" {
  on  haswell
  vmm hardware

  guest prot32 {
    nop
    hlt                 => halt
  }
}
`;

describe("build", () => {
  test("an image that carries all it needs boots on another machine", () => {
    cli.write("two.trap", twoTests);
    expect(cli.trapline("build", "two.trap:2", "-p", "penryn", "-f", "multiboot", "-o", "k.elf").status).toBe(0);
    const booted = cli.trapline("boot", "k.elf", "--platform", "penryn");
    // The report of the carried lowering: each visit of a judged line.
    expect(booted.out).toMatch(/^s [0-9a-f]{16}\nv 0000000000000000 /);
    expect(cli.trapline("build", "two.trap:2", "-p", "penryn", "-f", "disk", "-o", "d.img").status).toBe(0);
    expect(readFileSync(cli.path("d.img")).subarray(510, 512)).toEqual(Buffer.from([0x55, 0xaa]));
  });

  test("an image is made of one program; the others are named", () => {
    cli.write("two.trap", twoTests);
    const { status, err } = cli.trapline("build", "two.trap", "-f", "raw");
    expect(status).toBe(2);
    expect(err).toContain(
      "two.trap:1 first [penryn, vmm none]\n  two.trap:1 first [zen, vmm none]\n  two.trap:10 second",
    );
  });

  test("listings of all programs, each under its name; one of one test", () => {
    cli.write("two.trap", twoTests);
    expect(cli.trapline("build", "two.trap").out.match(/^; two\.trap.*$/gm)).toEqual([
      "; two.trap:1 first [penryn, vmm none]",
      "; two.trap:1 first [zen, vmm none]",
      "; two.trap:10 second [haswell, vmm hardware]",
    ]);
    expect(cli.trapline("build", "two.trap", "--vmm", "hardware", "--emit", "bytes").out).toBe(
      `${"90".padEnd(24)}  ; nop\n${"f4".padEnd(24)}  ; hlt\n`,
    );
  });

  test("raw says where its first byte goes; json is data", () => {
    cli.write("two.trap", twoTests);
    const raw = cli.trapline("build", "two.trap:11", "-f", "raw", "-o", "raw.bin");
    expect([raw.status, raw.err]).toEqual([0, "first byte at 0x100000\n"]);
    expect(readFileSync(cli.path("raw.bin")).subarray(0, 2)).toEqual(Buffer.from([0x90, 0xf4]));
    const { out } = cli.trapline("build", "two.trap:11", "-f", "json");
    expect(JSON.parse(out)).toMatchObject({ format: "trapline-program", image: { lowering: "bundled" } });
  });

  test.each([
    ["tokens", 'Word "test"'],
    ["tree", '"first"'],
    ["resolved", 'test "first"'],
  ])("--emit %s shows that phase", (phase, beginning) => {
    cli.write("two.trap", twoTests);
    const { status, out } = cli.trapline("build", "two.trap", "--emit", phase);
    expect(status).toBe(0);
    expect(out).toContain(beginning);
  });

  test("what is wrong is said before anything is made", () => {
    cli.write("wrong.trap", 'test "t" {\n  on haswell\n  guest long64 {\n    movv eax, 1\n    hlt => halt\n  }\n}\n');
    const { status, out, err } = cli.trapline("build", "wrong.trap", "-f", "raw");
    expect([status, out]).toEqual([2, ""]);
    expect(err).toContain("error[E3002]");
    cli.write("two.trap", twoTests);
    expect(cli.trapline("build", "two.trap", "-f", "disk", "--lowering", "bundled").err).toContain("carried");
    expect(cli.trapline("build", "two.trap", "--vmm", "hardwrae").err).toContain("no test is left to build");
  });
});

describe("try", () => {
  test("shows platforms that do the same in one row, and a column for each VMM", () => {
    const { status, out } = cli.trapline(
      "try",
      "popfd",
      "--ring",
      "3",
      "-p",
      "pentium4,haswell",
      "--vmm",
      "none,hardware",
    );
    expect(status).toBe(0);
    expect(out).toBe(
      [
        "popfd  in ring 3 of prot32",
        "",
        "          none     hardware",
        "pentium4  nothing  -",
        "haswell   nothing  nothing",
        "",
        "- pentium4 under hardware: it has no hardware virtualization",
        "",
      ].join("\n"),
    );
  });

  test("keeps to the width of a terminal, and puts VMMs under which the same happens into one column", () => {
    const { out } = cli.trapline("try", "mov rax, cr9");
    expect(out).toContain("none      hardware  trap_and_emulate,\n");
    expect(out).toContain("- pentium4, yonah under none, trap_and_emulate, binary_translation: long64 needs LONG_MODE");
    const wide = cli.trapline("try", "mov cr3, eax").out.split("\n");
    expect(wide.filter((line) => line.length > 120)).toEqual([]);
    expect(wide.map((line) => line.trim())).toContain("register: rax) to vmm,");
  });

  test("executes several instructions, in the first mode in which they are right", () => {
    const { out } = cli.trapline("try", "mov rcx, cr0", "mov cr0, rcx", "cpuid", "-p", "haswell", "--vmm", "none");
    expect(out).toContain("in ring 0 of long64");
    expect(out).toMatch(/^haswell {2}nothing$/m);
    const fault = cli.trapline(
      "try",
      "sgdt [buffer]",
      "mov dword [0x7000_0000], 1",
      "hlt",
      "--ring",
      "3",
      "-p",
      "zen",
      "--vmm",
      "none",
    );
    expect(fault.out).toContain("trap #GP(0)");
  });

  test("code that is wrong in every mode is reported as it is in the first", () => {
    const { status, err } = cli.trapline("try", "popff");
    expect(status).toBe(2);
    expect(err).toContain("popff is no instruction");
    expect(err).toContain("did you mean popf");
  });
});

describe("run --fill", () => {
  const holes = (...answers: readonly string[]): string => `test "holes" {
  on vtx2, svm2, pentium4

  guest prot32 {
    mov   esi, 2
  .again:
    cpuid               => ${answers[0]}
    dec   esi
    jnz   .again
    ud2                 => ${answers[1]}            ; a comment
    hlt                 => ${answers[2]}
  }
}
`;

  test("writes what happened, and runs the file that came of it", () => {
    cli.write("fill/holes.trap", holes("?", "?", "?"));
    const { status, out, err } = cli.trapline("run", "--fill", "fill", "-q");
    expect([status, out, err]).toEqual([0, "10 passed, 0 failed, 0 skipped\n", "fill/holes.trap: filled 3\n"]);
    const filled = readFileSync(cli.path("fill/holes.trap"), "utf8");
    expect(filled).toBe(holes("nothing", "trap #UD", "halt").replace(`${" ".repeat(12)}; a`, `${" ".repeat(5)}; a`));
  });

  test("platforms that differ get a line each, groups where all of theirs agree", () => {
    const text = [
      'test "t" {',
      "  on  penryn, haswell, zen",
      "  vmm hardware { intercept nothing }",
      "",
      "  guest long64 {",
      "    cpuid               => ?",
      "  }",
      "}",
      "",
    ].join("\n");
    cli.write("differ.trap", text);
    expect(cli.trapline("run", "--fill", "differ.trap", "-q").status).toBe(0);
    expect(readFileSync(cli.path("differ.trap"), "utf8")).toContain(
      "    cpuid\n      on vtx1, vtx2     => exit CPUID to vmm, emulate CPUID\n      on svm2           => nothing\n",
    );
  });

  test("executions that differ become rounds, and a line that is not reached keeps its hole", () => {
    const text = [
      'test "t" {',
      "  on haswell",
      "",
      "  guest prot32 {",
      "    mov   esi, 0x9000",
      "  .again:",
      "    lodsb               => ?",
      "    cmp   esi, 0x9003",
      "    jb    .again",
      "    jmp   .out",
      "    nop                 => ?",
      "  .out:",
      "    hlt                 => halt",
      "  }",
      "}",
      "",
    ].join("\n");
    cli.write("rounds.trap", text);
    const { status, err } = cli.trapline("run", "--fill", "rounds.trap", "-q");
    expect(status).toBe(1);
    expect(err).toContain("rounds.trap:11: not filled: no short answer on haswell");
    expect(readFileSync(cli.path("rounds.trap"), "utf8")).toContain("lodsb               => nothing\n");
  });
});

test("run --compare shows lines that differ, and counts the tests", () => {
  const text = `test "differs" {
  on  penryn, haswell, zen
  vmm hardware { intercept nothing }

  guest long64 {
    cpuid               => any
    hlt                 => halt
  }
}

test "is the same" {
  on haswell, zen

  guest long64 {
    hlt                 => halt
  }
}
`;
  cli.write("compare.trap", text);
  const { status, out } = cli.trapline("run", "--compare", "penryn,haswell,zen", "compare.trap");
  expect(status).toBe(0);
  expect(out).toBe(
    [
      "# compare.trap > differs  [vmm hardware]",
      `${" ".repeat(21)}${"penryn".padEnd(34)}${"haswell".padEnd(34)}zen`,
      `  guest+0x00  cpuid  ${"exit CPUID to vmm, emulate CPUID  ".repeat(2)}-`,
      "",
      "1 differ, 1 the same, 0 on fewer than two of these platforms",
      "",
    ].join("\n"),
  );
  expect(cli.trapline("run", "--compare", "penryn", "compare.trap").err).toContain("takes several platforms");
  expect(cli.trapline("run", "--compare", "penryn,vtx2", "compare.trap").err).toContain("platforms, not groups: vtx2");
});

describe("init", () => {
  const files = [
    "package.json",
    "tests/first.trap",
    ".editorconfig",
    ".vscode/tasks.json",
    ".github/workflows/trapline.yml",
    ".gitignore",
    "tests/first.golden",
  ];

  test("writes a project whose CI file passes as it is", () => {
    const made = cli.trapline("init", "project");
    expect(made.status).toBe(0);
    expect(files.filter((path) => !existsSync(cli.path(`project/${path}`)))).toEqual([]);
    installTrapline(cli.path("project"));
    const workflow = readFileSync(cli.path("project/.github/workflows/trapline.yml"), "utf8");
    const commands = [...workflow.matchAll(/^ {6}- run: (.*)$/gm)].map((match) => match[1] ?? "");
    expect(commands).toEqual(["npm install", "npm run check", "npm test -- --format github"]);
    for (const command of commands.slice(1)) {
      const ran = spawnSync(command, { shell: true, cwd: cli.path("project"), encoding: "utf8", env: ciEnvironment() });
      expect([command, ran.status, ran.stdout + ran.stderr]).toEqual([command, 0, expect.any(String)]);
    }
  });

  test("the task of the editor reads the lines of a mistake", () => {
    cli.trapline("init", "tasks");
    const { tasks } = JSON.parse(readFileSync(cli.path("tasks/.vscode/tasks.json"), "utf8")) as {
      tasks: { problemMatcher: { pattern: { regexp: string } } }[];
    };
    cli.write("tasks/tests/wrong.trap", "test\n");
    const { out } = cli.trapline("check", "tasks/tests", "--format", "github");
    const [line = ""] = out.split("\n");
    const match = new RegExp(tasks[0]?.problemMatcher.pattern.regexp ?? "^$").exec(line);
    expect(match?.slice(1, 4)).toEqual(["error", "tasks/tests/wrong.trap", "1"]);
  });

  test("leaves files that are there as they are", () => {
    cli.write("kept/tests/first.trap", "; mine\n");
    expect(cli.trapline("init", "kept").out).toContain("kept     tests/first.trap");
    expect(readFileSync(cli.path("kept/tests/first.trap"), "utf8")).toBe("; mine\n");
  });
});

/** What `npm install` would bring: the command of the built package. */
function installTrapline(folder: string): void {
  const bin = join(folder, "node_modules/.bin/trapline");
  mkdirSync(dirname(bin), { recursive: true });
  symlinkSync(join(projectRoot, "dist/cli.cjs"), bin);
  writeFileSync(join(folder, "node_modules/.keep"), "");
}

function ciEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, CI: "true", PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}` };
}
