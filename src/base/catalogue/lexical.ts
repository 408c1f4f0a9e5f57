// Codes E1…: what the lexer reports.

export {};
