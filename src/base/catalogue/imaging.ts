// Codes E5…: what reading and writing images reports.

export {};
