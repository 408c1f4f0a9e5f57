// syntax: text to tokens to tree. Gives every word its place and none its meaning.

export * from "./tree.js";
