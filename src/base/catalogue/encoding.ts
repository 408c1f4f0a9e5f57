// Codes E4…: what encoding and layout report.

export {};
