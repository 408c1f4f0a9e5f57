// Codes R…: what a run, an option or a file reports.

import { diagnostic } from "../diagnostic.js";

export const nothingToRun = diagnostic<{ readonly what: string }>({
  code: "R0001",
  severity: "error",
  title: "Nothing ran",
  explanation:
    "A run that tests nothing must not look like success. Name a file or folder that holds tests, a line inside a " +
    "test, or a platform on which one of the tests runs.",
  message: ({ what }) => `${what}, so nothing was tested`,
  help: () => "`trapline run PATH…` runs the .trap files at or below the paths",
});

export const orphanGolden = diagnostic<{ readonly path: string; readonly cell: string }>({
  code: "R0002",
  severity: "error",
  title: "A golden transcript belongs to no test",
  explanation:
    "Golden files keep a transcript for each cell of the tests that are marked `golden`. One that no test owns is not " +
    "compared with anything: the test was renamed or removed, or is no longer golden.",
  message: ({ path, cell }) => `${path} keeps a transcript that belongs to no test: ${cell}`,
  help: () => "`trapline run --update` removes it",
});

export const onlyInCi = diagnostic<{ readonly test: string }>({
  code: "R0003",
  severity: "error",
  title: "`only` in CI",
  explanation:
    "`only` is for work on one test: all others of the file are left out. In CI that would hide them, so it is refused.",
  message: ({ test }) => `\`only\` leaves out every test but "${test}"`,
  help: () => "remove `only` before committing",
});

export const partialUpdate = diagnostic<{ readonly file: string }>({
  code: "R0004",
  severity: "error",
  title: "A golden file can only be rewritten whole",
  explanation:
    "A golden file holds the transcripts of all cells of its test file. A run of some of them cannot write it without " +
    "dropping the others.",
  message: ({ file }) => `the golden file of ${file} can only be rewritten when all its tests run`,
  help: () => "leave out the line and --platform",
});

export const failedUpdate = diagnostic<{ readonly path: string; readonly cells: number }>({
  code: "R0005",
  severity: "warning",
  title: "A golden transcript is not rewritten from a run that failed",
  explanation:
    "What a test does while its own lines or expectations fail is nothing to compare with. `--update` keeps the " +
    "transcript that such a test had.",
  message: ({ path, cells }) =>
    `${path} is not rewritten for ${cells === 1 ? "a test that fails" : `${cells} tests that fail`}`,
  help: () => "mend what fails first, then run --update once more",
});
