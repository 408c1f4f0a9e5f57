// Codes E2…: what the parser reports.

export {};
