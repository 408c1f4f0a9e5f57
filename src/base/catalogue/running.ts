// Codes R…: what a run, an option or a file reports.

export {};
