// How the command line behaves where things go wrong around it: big files, files that cannot be read, readers that go
// away, folders without tests. Never a stack trace, always an exit status that says what it was.

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { useCli } from "./cli.js";

const cli = useCli();
const program = join(projectRoot, "dist/cli.cjs");
const right = 'test "t" {\n  on haswell\n  guest long64 {\n    hlt => halt\n  }\n}\n';
const isRoot = process.getuid?.() === 0;

/** The program in a shell, for pipes and redirections. */
function inShell(command: string) {
  const line = command.replaceAll("TRAPLINE", `"${process.execPath}" "${program}"`);
  const ran = spawnSync("bash", ["-c", `set -o pipefail; ${line}`], { cwd: cli.path("."), encoding: "utf8" });
  return { status: ran.status, out: ran.stdout, err: ran.stderr };
}

describe("files that are no tests", () => {
  const random = (length: number): Uint8Array => {
    let state = 1;
    return Uint8Array.from({ length }, () => (state = (state * 1103515245 + 12345) & 0x7fff_ffff) >> 16);
  };

  test.each([
    ["check", ["check", "bytes.trap"]],
    ["run", ["run", "bytes.trap"]],
    ["fmt", ["fmt", "--check", "bytes.trap"]],
    ["build", ["build", "bytes.trap", "-f", "multiboot"]],
    ["asm", ["asm", "-b", "64", "bytes.trap"]],
  ])("ten megabytes of anything, to %s", (_, args) => {
    cli.write("bytes.trap", random(10_000_000));
    const { status, out, err } = cli.trapline(...args);
    expect(status).toBe(2);
    expect(out + err).toContain("error[E");
    expect(out.length + err.length).toBeLessThan(200_000);
    expect(err).not.toMatch(/bug of trapline|\n {4}at /);
  });

  test("boot and disasm take bytes of any kind", () => {
    cli.write("bytes.bin", random(100_000));
    expect(cli.trapline("boot", "bytes.bin").status).toBe(2);
    expect(cli.trapline("boot", "--raw", "bytes.bin", "--budget", "100000").err).not.toContain("bug of trapline");
    expect(cli.trapline("disasm", "-b", "32", "bytes.bin").status).toBe(0);
  });

  const many = (count: number): string =>
    Array.from({ length: count }, (_, i) => right.replace('"t"', `"t${i}"`)).join("");

  test("a hundred thousand tests in one file are read and checked", () => {
    cli.write("many.trap", many(100_000));
    const { status, out } = cli.trapline("check", "many.trap");
    expect(out).toBe("1 file, 0 errors, 0 warnings\n");
    expect(status).toBe(0);
  }, 120_000);

  test("of a file of a hundred thousand tests the first mistake is told", () => {
    cli.write("many.trap", `${many(100_000)}test "wrong" {\n  on haswell, ,\n}\n`);
    const { status, out } = cli.trapline("run", "many.trap");
    expect(status).toBe(2);
    expect(out).toContain("error[E2025]: this does not fit");
    expect(out).toContain("many.trap:600002:");
    expect(out.length).toBeLessThan(2000);
  });
});

describe("around the program", () => {
  test("a reader that goes away ends it quietly", () => {
    cli.write("one/a.trap", right);
    const { err } = inShell("TRAPLINE platforms --json | head -1 >/dev/null; TRAPLINE run one | true");
    expect(err).toBe("");
  });

  test("a closed standard output is no bug", () => {
    cli.write("one/a.trap", right);
    expect(inShell("TRAPLINE run one >&-").err).not.toMatch(/bug of trapline|\n {4}at /);
    expect(inShell("TRAPLINE run one > /dev/full").err).not.toMatch(/bug of trapline|\n {4}at /);
  });

  test("colours are never written, whatever the terminal wants", () => {
    cli.write("wrong/a.trap", "test\n");
    expect(inShell("FORCE_COLOR=1 TRAPLINE check wrong || true").out).not.toContain("\u001b[");
  });

  test("a file that cannot be read is named with the reason", () => {
    cli.write("closed/a.trap", right);
    chmodSync(cli.path("closed/a.trap"), 0);
    const { status, err } = cli.trapline("check", "closed");
    // The administrator may read everything.
    expect([status, err]).toEqual(isRoot ? [0, ""] : [2, "trapline: closed/a.trap: cannot be read (EACCES)\n"]);
  });

  test.each([
    ["a folder without tests", ["run", "nothing"], "no test file (*.trap) at nothing"],
    ["a folder where a file is meant", ["build", "nothing"], "nothing is a directory, not a file"],
    ["a link in a ring", ["check", "ring"], "ring"],
    [
      "a place that cannot be written",
      ["build", "one.trap", "-o", "no/such/folder/x"],
      "no/such/folder/x: no such file",
    ],
    ["a diagnostic that there is not", ["explain", "E9999"], "there is no diagnostic E9999"],
    ["an option of another command", ["check", "--updat"], "unknown option '--updat'"],
    ["too many arguments", ["explain", "E2001", "E2002"], "too many arguments"],
    ["no argument where one is needed", ["build"], "missing required argument 'file'"],
  ])("%s is one line and status 2", (_, args, message) => {
    mkdirSync(cli.path("nothing"), { recursive: true });
    cli.write("one.trap", right);
    if (args[1] === "ring") symlinkSync("ring", cli.path("ring"));
    const { status, err } = cli.trapline(...args);
    expect(status).toBe(2);
    expect(err).toContain(message);
    expect(err).not.toMatch(/bug of trapline|\n {4}at /);
  });

  test("help is on standard output, with status 0, for the program and every command", () => {
    const main = cli.trapline("--help");
    expect(main.status).toBe(0);
    const commands = [...main.out.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1] ?? "");
    expect(commands).toEqual(expect.arrayContaining(["run", "check", "fmt", "build", "try", "init", "explain"]));
    const { status, out } = cli.trapline("fmt", "--help");
    expect([status, out.split("\n")[0]]).toEqual([0, "Usage: trapline fmt [options] [paths...]"]);
    expect(cli.trapline("--version").out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(cli.trapline().status).toBe(2);
  });
});

test("code that only a guest can have is reported by asm", () => {
  for (const code of ["ring 3 {\nnop\n}", "done", "expect eax == 1", "raise nmi", "handler #PF {\nnop\n}"]) {
    cli.write("guest.asm", `${code}\n`);
    const { status, err } = cli.trapline("asm", "-b", "64", "guest.asm");
    expect([status, err.split("\n")[0]]).toEqual([2, "error[E3044]: this belongs to a guest of a test"]);
  }
});
