// Codes E3…: what name, type and matrix resolution reports.

export {};
